"""A picture of any size at the size that is drawn."""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from latentry.contracts import ResizeMode
from latentry.rules.resizing import Fit, Strip, fit

_Pixels: TypeAlias = npt.NDArray[np.uint8]  # RGB bytes [H, W, 3]
# As diffusers' VaeImageProcessor.
FILTER: Final = Image.Resampling.LANCZOS


def resized(image: Image.Image, width: int, height: int, mode: ResizeMode) -> Image.Image:
    """The picture at this size in pixels; one that has it already is returned as it is."""
    if image.size == (width, height):
        return image
    part = fit(image.size, (width, height), mode)
    return _padded(image.resize(part.size, FILTER, box=part.box), width, height)


def resized_in_strips(picture: _Pixels, width: int, height: int, mode: ResizeMode) -> _Pixels:
    """The same, as `Resizing` makes it, whatever the version of Pillow."""
    part = fit((picture.shape[1], picture.shape[0]), (width, height), mode)
    resizing = Resizing(picture, part)
    for strip in part.strips:
        resizing.resize(strip)
    resizing.pad(width, height)
    return resizing.made


class Resizing:
    """A picture at another size, a strip at a time.

    Of each row, and then of each column, Pillow makes the same alone as beside others. `made`: the
    result, once all of the fit's strips are resized.
    """

    def __init__(self, picture: _Pixels, part: Fit, by: Image.Resampling = FILTER) -> None:
        self._part = part
        self._by = by
        self._passes: dict[bool, tuple[_Pixels, _Pixels]] = {}
        self.made = picture
        wide, high = part.size
        for is_of_rows in part.passes:
            height, width = self.made.shape[:2]
            shape = (height, wide, 3) if is_of_rows else (high, width, 3)
            self._passes[is_of_rows] = self.made, np.empty(shape, np.uint8)
            self.made = self._passes[is_of_rows][1]

    def resize(self, strip: Strip) -> None:
        """The next strip."""
        before, after = self._passes[strip.is_of_rows]
        left, top, right, bottom = self._part.box
        at = np.s_[strip.box.top : strip.box.bottom, strip.box.left : strip.box.right]
        one = Image.fromarray(before[at])  # the box is as large as before and after are
        if strip.is_of_rows:
            size, box = (self._part.size[0], one.height), (left, 0.0, right, float(one.height))
        else:
            size, box = (one.width, self._part.size[1]), (0.0, top, float(one.width), bottom)
        after[at] = np.asarray(one.resize(size, self._by, box=box))

    def pad(self, width: int, height: int) -> None:
        """To the size that was asked for, if it is another one."""
        if self._part.size != (width, height):
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
