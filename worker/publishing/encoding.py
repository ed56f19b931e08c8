"""Pixels to the bytes of a file that carries its own parameters."""

import hashlib
import io
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from latentry.contracts import (
    AnyRequest,
    OutputFormat,
    Provenance,
    ResolvedControl,
    ResolvedRequest,
    ResolvedUpscale,
)
from latentry.provenance.exif import exif
from latentry.provenance.infotext import frame_settings, infotext
from latentry.provenance.manifest import source_type
from latentry.provenance.preprocessing import control_infotext, control_recipe
from latentry.provenance.recipe import clip_recipe, interpolation_recipe, recipe
from latentry.provenance.upscale import upscale_infotext, upscale_recipe
from latentry.provenance.xmp import KEYWORD, packet
from worker.publishing import png

_QUALITY: Final = 90  # of a request that names none
_PARAMETERS: Final = "parameters"  # AUTOMATIC1111's keyword


def encode(
    pixels: NDArray[np.uint8],
    request: AnyRequest,
    seed: int,
    profile: str | None = None,
    *,
    intermediate: str = "",
    sequence: tuple[ResolvedRequest, int] | None = None,
) -> bytes:
    """The file of (height, width, 3) pixels: equal arguments give equal bytes.

    intermediate: its name, if it is one. sequence: of a frame, its job's request and its index.
    """
    texts = _texts(request, seed, profile, intermediate=intermediate, sequence=sequence)
    if request.output_format is OutputFormat.PNG:
        return png.encode(pixels, texts)
    return _lossy(pixels, request, texts)


def _texts(
    request: AnyRequest,
    seed: int,
    profile: str | None,
    *,
    intermediate: str,
    sequence: tuple[ResolvedRequest, int] | None,
) -> dict[str, str]:
    """What the file says of its making, by the keyword of a PNG's chunks."""
    xmp = {KEYWORD: packet(source_type(request))}
    match request.provenance:
        case Provenance.NONE:
            return {}
        case Provenance.MINIMAL:
            return xmp
    if isinstance(request, ResolvedUpscale):
        text, again = upscale_infotext(request, profile), upscale_recipe(request)
    elif isinstance(request, ResolvedControl):
        text, again = control_infotext(request, profile), control_recipe(request)
    elif not isinstance(request, ResolvedRequest):
        return xmp
    elif sequence is not None:
        text = infotext(request, seed, profile, sequence=frame_settings(*sequence))
        again = interpolation_recipe(sequence[0])
    elif request.clip is not None:
        text = infotext(request, seed, profile, sequence={"Frames": str(request.frames)})
        again = clip_recipe(request)
    else:
        text = infotext(request, seed, profile, intermediate=intermediate)
        again = recipe(request, seed, is_intermediate=bool(intermediate))
    return {_PARAMETERS: text, "latentry": again, **xmp}


def _lossy(pixels: NDArray[np.uint8], request: AnyRequest, texts: Mapping[str, str]) -> bytes:
    """A JPEG, or a WebP even if it is lossless."""
    quality = _QUALITY if request.output_quality is None else request.output_quality
    picture, file = Image.fromarray(pixels), io.BytesIO()
    marks: dict[str, Any] = {}
    if _PARAMETERS in texts:
        marks["exif"] = exif(texts[_PARAMETERS])
    if KEYWORD in texts:
        marks["xmp"] = texts[KEYWORD].encode()
    if request.output_format is OutputFormat.JPEG:
        # Full-size chroma (subsampling 0): halved, it smears the edge between two pure colours.
        picture.save(file, "JPEG", quality=quality, subsampling=0, **marks)
    elif request.output_lossless:
        picture.save(file, "WEBP", lossless=True, **marks)
    else:
        picture.save(file, "WEBP", quality=quality, **marks)
    return file.getvalue()


def pixel_sha256(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 of the RGB bytes, row by row: equal pixels, equal hash, whatever the encoding."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
