"""Pictures at the size that a classifier takes."""

from typing import Final

import numpy as np
from PIL import Image

from worker.engine.loop import Pixels
from worker.safety.classifier import Prepared

_CELLS: Final = 4  # of a blurred picture, along its longer side: with 8 a face is still one


def stretched(pixels: Pixels, size: tuple[int, int]) -> Prepared:
    """All of it, [height, width, 3] from 0 to 1, stretched to `size`, width and height."""
    shown = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(shown, np.float32) / np.float32(255)


def cropped(pixels: Pixels, side: int) -> Prepared:
    """Its middle, [side, side, 3] from 0 to 1, as CLIP's image processor cuts it out."""
    height, width, _ = pixels.shape
    short, long = min(height, width), max(height, width)
    longer = int(side * long / short)
    size = (side, longer) if width <= height else (longer, side)
    shown = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    top, left = (size[1] - side) // 2, (size[0] - side) // 2
    return np.asarray(shown.crop((left, top, left + side, top + side)), np.float32) / np.float32(
        255
    )


def blurred(pixels: Pixels) -> Pixels:
    """Colours alone: a few cells along the longer side, with soft borders."""
    shown = Image.fromarray(pixels)
    cells = max(1, max(shown.size) // _CELLS)
    small = (max(1, shown.width // cells), max(1, shown.height // cells))
    coarse = shown.resize(small, Image.Resampling.BOX)
    return np.asarray(coarse.resize(shown.size, Image.Resampling.BICUBIC))
