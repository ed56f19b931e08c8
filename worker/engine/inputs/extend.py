"""Outpainting: a picture with room around it."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from latentry.contracts import Extend, ResizeMode
from worker.engine.inputs.fill import filled
from worker.engine.inputs.resize import resized

# Pixels of the picture along each seam that are painted too, and blended more and more.
SEAM_PX: Final = 16


def extended(
    image: Image.Image,
    mask: Image.Image,
    sides: Extend,
    width: int,
    height: int,
    mode: ResizeMode,
) -> tuple[Image.Image, Image.Image]:
    """The picture within width × height, colours of its edges around it, and what is painted.

    The mask, of the picture's size (L, 255 is painted), falls from 255 at a seam to 0.
    """
    inner = (width - sides.left - sides.right, height - sides.top - sides.bottom)
    place = (sides.left, sides.top)
    around = np.ones((height, width), bool)
    around[sides.top : sides.top + inner[1], sides.left : sides.left + inner[0]] = False
    whole = Image.new("RGB", (width, height))
    whole.paste(resized(image, *inner, mode), place)
    painted = Image.new("L", (width, height), 255)
    painted.paste(resized(mask, *inner, mode), place)
    levels = np.maximum(np.asarray(painted), _seams(sides, width, height))
    return Image.fromarray(filled(np.asarray(whole), around)), Image.fromarray(levels)


def _seams(sides: Extend, width: int, height: int) -> npt.NDArray[np.uint8]:
    """[height, width]: 255 on the extended sides, falling to 0 within SEAM_PX of the picture."""
    x, y = np.arange(width), np.arange(height)
    depths = [
        depth
        for depth, is_extended in (
            ((x - sides.left)[None, :], sides.left),
            ((width - sides.right - 1 - x)[None, :], sides.right),
            ((y - sides.top)[:, None], sides.top),
            ((height - sides.bottom - 1 - y)[:, None], sides.bottom),
        )
        if is_extended
    ]
    nearest = np.minimum.reduce([np.broadcast_to(depth, (height, width)) for depth in depths])
    levels = 255 * np.clip(1 - (nearest + 1) / (SEAM_PX + 1), 0, 1)
    rounded: npt.NDArray[np.uint8] = levels.round().astype(np.uint8)
    return rounded
