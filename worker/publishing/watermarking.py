"""A mark in the pixels of finished pictures, before anything of them is hashed or encoded."""

import hashlib
import json
from dataclasses import replace

from latentry.contracts import AnyRequest, Provenance, ResolvedControl
from latentry.provenance.confined.watermark import embed
from worker.publishing.picture import Picture

# Of strict pictures: the same profile without marks gives other pixels.
_OF_PROFILE = "+watermark"


def watermarked(picture: Picture) -> Picture:
    """The picture with its mark; as it is where it shows a step, or wants to say nothing, and where
    a ControlNet will read it.
    """
    if isinstance(picture.request, ResolvedControl):
        return picture
    if picture.kind is not None or picture.request.provenance is Provenance.NONE:
        return picture
    pixels = embed(picture.pixels, payload_of(picture.request))
    profile = picture.profile and picture.profile + _OF_PROFILE
    return replace(picture, pixels=pixels, profile=profile)


def payload_of(request: AnyRequest) -> int:
    """16 bits of what the pixels depend on: equal requests and seeds have equal marks."""
    facts = {"pixels": request.pixel_fields(), "seed": request.seed}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:2])
