"""Pixels to the bytes of a file that carries its own parameters."""

import hashlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from latentry.contracts import OutputFormat, ResolvedRequest
from latentry.provenance.exif import exif
from latentry.provenance.infotext import infotext
from latentry.provenance.recipe import recipe
from worker.publishing import png


def encode(
    pixels: NDArray[np.uint8],
    request: ResolvedRequest,
    seed: int,
    profile: str | None = None,
    *,
    intermediate: str = "",
) -> bytes:
    """The file of (height, width, 3) pixels: equal arguments give equal bytes.

    intermediate: its name, if it is one.
    """
    text = infotext(request, seed, profile, intermediate=intermediate)
    if request.output_format is OutputFormat.PNG:
        again = recipe(request, seed, is_intermediate=bool(intermediate))
        return png.encode(pixels, {"parameters": text, "latentry": again})
    picture, file = Image.fromarray(pixels), io.BytesIO()
    if request.output_format is OutputFormat.JPEG:
        # Full-size chroma (subsampling 0): halved, it smears the edge between two pure colours.
        picture.save(file, "JPEG", quality=90, subsampling=0, exif=exif(text))
    else:
        picture.save(file, "WEBP", quality=90, exif=exif(text))
    return file.getvalue()


def pixel_sha256(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 of the RGB bytes, row by row: equal pixels, equal hash, whatever the encoding."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
