"""Pixels to a stored picture that carries its own parameters."""

import hashlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from latentry.contracts import OutputFormat, ResolvedRequest, StoredOutput
from latentry.provenance.exif import exif
from latentry.provenance.infotext import infotext
from latentry.provenance.recipe import recipe
from latentry.storage import Storage, key_of
from worker.publishing import png


def publish(
    storage: Storage,
    pixels: NDArray[np.uint8],
    request: ResolvedRequest,
    *,
    tenant: str,
    job_id: str,
    fence: int,
    index: int,
    seed: int,
    profile: str | None = None,
) -> StoredOutput:
    """Encode (height, width, 3) pixels and store them under the job's key.

    Storage tries for about ten seconds; then this raises StorageUnavailable, and a repeat is
    harmless, because the same image goes to the same key. When it returns, the file is readable.
    """
    form = request.output_format
    key = key_of(tenant, job_id, fence=fence, index=index, suffix=form.suffix)
    storage.put(key, encode(pixels, request, seed, profile))
    height, width, _ = pixels.shape
    return StoredOutput(
        key=key,
        index=index,
        seed=seed,
        width=width,
        height=height,
        content_type=form.content_type,
        pixel_sha256=pixel_sha256(pixels),
        profile=profile,
    )


def encode(
    pixels: NDArray[np.uint8], request: ResolvedRequest, seed: int, profile: str | None = None
) -> bytes:
    """The file of (height, width, 3) pixels: equal arguments give equal bytes."""
    text = infotext(request, seed, profile)
    if request.output_format is OutputFormat.PNG:
        return png.encode(pixels, {"parameters": text, "latentry": recipe(request, seed)})
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
