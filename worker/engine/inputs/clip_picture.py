"""A picture as CLIP's image encoders see it: the square in its middle, small."""

from typing import Final

import numpy as np
from PIL import Image

from worker.engine.inputs.canvas import Pixels, on_white

SIDE: Final = 224  # pixels, of ViT-L, ViT-H and ViT-bigG alike
_LONGEST: Final = 16  # times the shorter side: a picture of one row would become very wide


def clip_picture(pixels: Pixels) -> Pixels:
    """RGB bytes [SIDE, SIDE, 3] of RGB or RGBA bytes [H, W, channels].

    As transformers' CLIPImageProcessor: the shorter side becomes SIDE, bicubically, and what is
    outside the middle is cut off. What is transparent is laid on white, as all pictures are here.
    """
    image = on_white(Image.fromarray(pixels))
    short = min(image.size)
    image = _middle(image, *(min(side, _LONGEST * short) for side in image.size))
    wide, high = (SIDE * side // short for side in image.size)
    return np.asarray(_middle(image.resize((wide, high), Image.Resampling.BICUBIC), SIDE, SIDE))


def _middle(image: Image.Image, width: int, height: int) -> Image.Image:
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
