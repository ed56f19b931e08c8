"""The request that generates one image again, as JSON in the image's own file."""

import json
from typing import Any, Final

from latentry.contracts import ClipRequest, ResolvedRequest
from latentry.contracts.resolved import WITHOUT_EFFECT
from latentry.rules.sequences.frames import clip, keyframes

# What is said once of all frames, and not of each keyframe.
_OF_ALL_FRAMES: Final = {"output_format", "output_quality", "output_lossless", "provenance"}


def recipe(request: ResolvedRequest, seed: int, *, is_intermediate: bool = False) -> str:
    """A body for `POST /v1/generations` that generates this one image again.

    Defaults are written out, so that it holds after a default has changed. Labels and previews are
    left out: they do not change the image, and images are passed on. That of an intermediate stores
    it again beside the image.
    """
    left_out = set(WITHOUT_EFFECT) - {"intermediates"} if is_intermediate else set(WITHOUT_EFFECT)
    one = request.model_copy(update={"seed": seed, "n": 1})
    return one.model_dump_json(exclude=left_out)


def clip_recipe(request: ResolvedRequest) -> str:
    """A body for `POST /v1/clips` that makes such a clip again."""
    fields = request.model_dump(mode="json", exclude=set(WITHOUT_EFFECT))
    whole = fields | fields.pop("clip")
    if clip(request) is None:
        del whole["fps"]  # of a file that is not made
    said = {name: whole[name] for name in ClipRequest.model_fields if name in whole}
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False)


def interpolation_recipe(request: ResolvedRequest) -> str:
    """A body for `POST /v1/interpolations` that makes all frames of such a job again."""
    way = request.interpolation
    assert way is not None, "it is an interpolation"
    left_out = set(WITHOUT_EFFECT) | _OF_ALL_FRAMES | {"n"}
    first, *via, last = (
        one.model_dump(mode="json", exclude=left_out) for one in keyframes(request)
    )
    said: dict[str, Any] = {"from": first, "via": via, "to": last, "frames": request.n}
    said |= way.model_dump(mode="json", include={"easing", "output"})
    if way.output.clip is not None:
        said["fps"] = way.fps
    said |= request.model_dump(mode="json", include=_OF_ALL_FRAMES)
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False)
