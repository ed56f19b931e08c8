"""Requests with every omitted field filled in, as the fake's only model has it."""

import hashlib
from collections.abc import Callable
from typing import Any, Final

from latentry.contracts import (
    CaptionRequest,
    ClipRequest,
    ControlRequest,
    GenerationRequest,
    InputFile,
    Interpolation,
    InterpolationRequest,
    Keyframe,
    ModelCard,
    ResolvedCaption,
    ResolvedControl,
    ResolvedRequest,
    ResolvedUpscale,
    UpscaleRequest,
)
from latentry.contracts.fields.bounds import DEFAULT_FPS
from latentry.contracts.fields.clip import Clip
from latentry.errors import UnknownModel
from latentry.rules.preprocessing import sized

FindFile = Callable[[str], InputFile]
"""The file that a reference names."""

_FRAMES: Final = 8
_ADAPTERS: Final = ("loras", "controls", "image_prompts", "embeddings")
_OF_JOB: Final = (
    *("output_format", "output_quality", "output_lossless", "provenance"),
    *("preview_interval", "metadata"),
)


def resolve(
    request: GenerationRequest, card: ModelCard, find: FindFile, seed: int
) -> ResolvedRequest:
    """A request for images. `seed`: if it names none. Any adapter is known, its hash is made up.

    Raises UnknownModel, FileGone or another InvalidRequest.
    """
    if request.model not in (None, card.id):
        raise UnknownModel
    given = request.model_dump(exclude_none=True)
    fields = {**card.defaults.model_dump(), "model": card.id, "seed": seed, **given}
    fields |= {name: find(given[name]) for name in ("image", "mask") if name in given}
    for name in _ADAPTERS:
        fields[name] = [_adapter(one, find) for one in given.get(name, ())]
    if "vae" in given:
        fields["vae"] = _adapter(given["vae"], find)
    if hires := given.get("hires"):
        fields["hires"] = _hires(hires, fields)
    if "image" in given:
        fields["strength"] = given.get("strength", 1.0 if "mask" in given else 0.8)
    return ResolvedRequest.model_validate(fields)


def resolve_clip(
    request: ClipRequest, card: ModelCard, find: FindFile, seed: int
) -> ResolvedRequest:
    """A request for a clip. Raises as `resolve`."""
    clip = Clip(
        frames=request.frames or _FRAMES, output=request.output, fps=request.fps or DEFAULT_FPS
    )
    return resolve(request.of_frames(), card, find, seed).model_copy(update={"clip": clip})


def resolve_interpolation(
    request: InterpolationRequest, card: ModelCard, find: FindFile, seed: int
) -> ResolvedRequest:
    """A request for frames between pictures. Raises as `resolve`."""
    first, *others = (resolve(one, card, find, seed) for one in request.keyframes().values())
    *via, last = (Keyframe.of(one) for one in others)
    way = Interpolation(
        via=tuple(via),
        to=last,
        easing=request.easing,
        output=request.output,
        fps=request.fps or DEFAULT_FPS,
    )
    of_job = {name: getattr(request, name) for name in _OF_JOB}
    return first.model_copy(update={**of_job, "n": request.frames, "interpolation": way})


def resolve_upscale(request: UpscaleRequest, find: FindFile) -> ResolvedUpscale:
    """A request to enlarge a picture. Raises FileGone."""
    given = request.model_dump(exclude_none=True)
    return ResolvedUpscale.model_validate({"scale": 2.0, **given, "image": find(request.image)})


def resolve_control(request: ControlRequest, find: FindFile) -> ResolvedControl:
    """A request to preprocess a picture. Raises FileGone."""
    given = request.model_dump(exclude_none=True)
    return sized(ResolvedControl.model_validate({**given, "image": find(request.image)}))


def resolve_caption(request: CaptionRequest, find: FindFile) -> ResolvedCaption:
    """A request for a caption. Raises FileGone."""
    return ResolvedCaption(
        image=find(request.image), max_tokens=request.max_tokens, metadata=request.metadata
    )


def _adapter(given: dict[str, Any], find: FindFile) -> dict[str, Any]:
    made_up = hashlib.sha256(given["id"].encode()).hexdigest()
    weight = given.get("weight", 1.0)
    fields = {"sha256": made_up, "vectors": 1, "text_encoder_weight": weight, **given}
    return fields | ({"image": find(given["image"])} if "image" in given else {})


def _hires(given: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    scale = given.get("scale", 1.0)
    sides = {name: round(fields[name] * scale / 8) * 8 for name in ("width", "height")}
    return {"steps": fields["num_inference_steps"], **sides, **given}
