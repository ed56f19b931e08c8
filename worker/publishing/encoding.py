"""Pixels to the bytes of a file that carries its own parameters."""

import hashlib
import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from latentry.contracts import OutputFormat, ResolvedRequest, ResolvedUpscale
from latentry.provenance.exif import exif
from latentry.provenance.infotext import frame_settings, infotext
from latentry.provenance.recipe import clip_recipe, interpolation_recipe, recipe
from latentry.provenance.upscale import upscale_infotext, upscale_recipe
from worker.publishing import png

_QUALITY: Final = 90  # of a request that names none


def encode(
    pixels: NDArray[np.uint8],
    request: ResolvedRequest | ResolvedUpscale,
    seed: int,
    profile: str | None = None,
    *,
    intermediate: str = "",
    sequence: tuple[ResolvedRequest, int] | None = None,
) -> bytes:
    """The file of (height, width, 3) pixels: equal arguments give equal bytes.

    intermediate: its name, if it is one. sequence: of a frame, its job's request and its index.
    """
    if isinstance(request, ResolvedUpscale):
        text, again = upscale_infotext(request, profile), upscale_recipe(request)
    elif sequence is not None:
        text = infotext(request, seed, profile, sequence=frame_settings(*sequence))
        again = interpolation_recipe(sequence[0])
    elif request.clip is not None:
        text = infotext(request, seed, profile, sequence={"Frames": str(request.frames)})
        again = clip_recipe(request)
    else:
        text = infotext(request, seed, profile, intermediate=intermediate)
        again = recipe(request, seed, is_intermediate=bool(intermediate))
    if request.output_format is OutputFormat.PNG:
        return png.encode(pixels, {"parameters": text, "latentry": again})
    quality = _QUALITY if request.output_quality is None else request.output_quality
    picture, file = Image.fromarray(pixels), io.BytesIO()
    if request.output_format is OutputFormat.JPEG:
        # Full-size chroma (subsampling 0): halved, it smears the edge between two pure colours.
        picture.save(file, "JPEG", quality=quality, subsampling=0, exif=exif(text))
    elif request.output_lossless:
        picture.save(file, "WEBP", lossless=True, exif=exif(text))
    else:
        picture.save(file, "WEBP", quality=quality, exif=exif(text))
    return file.getvalue()


def pixel_sha256(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 of the RGB bytes, row by row: equal pixels, equal hash, whatever the encoding."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
