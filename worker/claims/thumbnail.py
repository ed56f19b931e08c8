"""Encodes previews."""

import io

from PIL import Image

from worker.engine.loop import Pixels


def thumbnail(pixels: Pixels) -> bytes:
    """A JPEG of (height, width, 3) RGB pixels, without metadata.

    At 128 pixels a side it takes 2 to 6 KB, and 10 if it shows only noise.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=70)
    return file.getvalue()
