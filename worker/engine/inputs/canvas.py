"""What an image starts from, and how it is laid back into the picture that it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from latentry.contracts import (
    InpaintArea,
    MaskFill,
    ResizeMode,
    ResolvedBackground,
    ResolvedRequest,
)
from worker.engine.inputs.extend import extended
from worker.engine.inputs.fill import filled
from worker.engine.inputs.mask import Box, read_mask, region, sized_mask
from worker.engine.inputs.resize import FILTER, resized

Pixels: TypeAlias = npt.NDArray[np.uint8]

_HALF: Final = 128


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Canvas:
    """The picture at the size that is drawn, RGB bytes [H, W, 3].

    repainted [H, W]: which pixels may change; None if all may. whole [H', W', 3]: the picture that
    the drawn one is pasted into, at `box`, as far as `opacity` [H', W'] (0 to 255) says; None
    without a mask.
    """

    picture: Pixels
    repainted: npt.NDArray[np.bool_] | None = None
    whole: Pixels | None = None
    opacity: npt.NDArray[np.uint8] | None = None
    box: Box = (0, 0, 0, 0)

    @classmethod
    def of(
        cls, request: ResolvedRequest | ResolvedBackground, pictures: Mapping[str, Pixels]
    ) -> "Canvas | None":
        """Prepare a request's `image` and `mask`, RGB or RGBA bytes; None if it brings none."""
        if request.image is None:
            return None
        image = on_white(Image.fromarray(pictures["image"]))
        if isinstance(request, ResolvedBackground):
            return cls(np.asarray(image))
        width, height = request.width, request.height
        if not request.repaints:
            return cls(np.asarray(resized(image, width, height, request.resize_mode)))
        image, mask = _masked(request, image, pictures.get("mask"))
        box = (0, 0, *image.size)
        if request.inpaint_area is InpaintArea.MASKED:
            box = region(mask, request.mask_padding, width, height)
        inner, hard = image.crop(box), mask.crop(box)
        repainted = np.asarray(resized(hard, width, height, ResizeMode.STRETCH)) >= _HALF
        picture = np.asarray(resized(inner, width, height, ResizeMode.STRETCH))
        if request.mask_fill is MaskFill.FILL:
            picture = filled(picture, repainted)
        return cls(picture, repainted, np.asarray(image), np.asarray(mask), box)

    def pasted(self, drawn: Pixels) -> Pixels:
        """The finished picture. Where opacity is 0 it has the whole picture's very bytes."""
        if self.whole is None or self.opacity is None:
            return drawn
        left, top, right, bottom = self.box
        inner: Any = Image.fromarray(drawn)
        if inner.size != (right - left, bottom - top):
            inner = inner.resize((right - left, bottom - top), FILTER)
        place = np.s_[top:bottom, left:right]
        opacity = self.opacity[place][..., None] / np.float32(255)
        below = self.whole[place]
        mixed = below + opacity * (np.asarray(inner, dtype=np.float32) - below)
        finished = self.whole.copy()
        finished[place] = np.where(opacity > 0, mixed.round().astype(np.uint8), below)
        return finished


def _masked(
    request: ResolvedRequest, image: Image.Image, mask: Pixels | None
) -> tuple[Image.Image, Image.Image]:
    """The picture that is kept in part, and the mask of its size, mode L."""
    black = Image.new("L", image.size)
    channel = request.mask_channel
    levels = black if mask is None else read_mask(Image.fromarray(mask), channel)
    size, mode, blur = (request.width, request.height), request.resize_mode, request.mask_blur
    if request.extend is not None:
        levels = sized_mask(levels, *image.size, mode, blur)
        return extended(image, levels, request.extend, *size, mode)
    if request.inpaint_area is InpaintArea.WHOLE:
        image = resized(image, *size, mode)
    return image, sized_mask(levels, *image.size, mode, blur)


def on_white(image: Image.Image) -> Image.Image:
    """The picture without transparency, where it was on white."""
    if image.mode != "RGBA":
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")
