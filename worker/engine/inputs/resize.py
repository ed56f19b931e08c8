"""A picture of any size at the size that is drawn."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from latentry.contracts import ResizeMode
from latentry.rules.resizing import Fit, fit
from latentry.rules.upscaling import Box

# As diffusers' VaeImageProcessor.
FILTER: Final = Image.Resampling.LANCZOS


def resized(image: Image.Image, width: int, height: int, mode: ResizeMode) -> Image.Image:
    """The picture at this size in pixels; one that has it already is returned as it is."""
    if image.size == (width, height):
        return image
    part = fit(image.size, (width, height), mode)
    return _padded(image.resize(part.size, FILTER, box=part.box), width, height)


class Resizing:
    """The same of RGB bytes [H, W, 3], a strip at a time and to the same bytes.

    Pillow resizes along the width, rounds, and then along the height, each row and then each
    column by itself. So all `rows` come first. `made`: the result, once all is done.
    """

    def __init__(
        self, picture: npt.NDArray[np.uint8], part: Fit, by: Image.Resampling = FILTER
    ) -> None:
        self._part = part
        self._by = by
        self._picture = self._rows = self.made = picture
        wide, high = part.size
        if part.rows:
            self._rows = self.made = np.empty((len(picture), wide, 3), np.uint8)
        if part.columns:
            self.made = np.empty((high, wide, 3), np.uint8)

    def resize_rows(self, strip: Box) -> None:
        """One of the fit's `rows`."""
        rows = Image.fromarray(self._picture[strip.top : strip.bottom])
        left, _, right, _ = self._part.box
        box = left, 0.0, right, float(rows.height)
        found = rows.resize((self._part.size[0], rows.height), self._by, box=box)
        self._rows[strip.top : strip.bottom] = np.asarray(found)

    def resize_columns(self, strip: Box) -> None:
        """One of the fit's `columns`."""
        columns = Image.fromarray(self._rows[:, strip.left : strip.right])
        _, top, _, bottom = self._part.box
        box = 0.0, top, float(columns.width), bottom
        found = columns.resize((columns.width, self._part.size[1]), self._by, box=box)
        self.made[:, strip.left : strip.right] = np.asarray(found)

    def pad(self, width: int, height: int) -> None:
        """To the size that was asked for, once all strips are resized."""
        self.made = np.asarray(_padded(Image.fromarray(self.made), width, height))


def _padded(inner: Image.Image, width: int, height: int) -> Image.Image:
    """Its edges repeated on all sides, as AUTOMATIC1111's "Resize and fill" does."""
    if inner.size == (width, height):
        return inner
    left, top = (width - inner.width) // 2, (height - inner.height) // 2
    whole = Image.new(inner.mode, (width, height))
    whole.paste(inner.resize((width, height), Image.Resampling.NEAREST))
    right, bottom = left + inner.width, top + inner.height
    for box, edge in (
        ((0, top, left, bottom), (0, 0, 1, inner.height)),
        ((right, top, width, bottom), (inner.width - 1, 0, inner.width, inner.height)),
        ((left, 0, right, top), (0, 0, inner.width, 1)),
        ((left, bottom, right, height), (0, inner.height - 1, inner.width, inner.height)),
    ):
        if (size := (box[2] - box[0], box[3] - box[1])) > (0, 0) and min(size) > 0:
            whole.paste(inner.crop(edge).resize(size), box)
    whole.paste(inner, (left, top))
    return whole
