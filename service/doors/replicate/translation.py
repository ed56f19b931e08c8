"""Replicate's requests as ours: what is obeyed, what is refused, and what is ignored and named."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from latentry.contracts import GenerationRequest, ModelCard, OutputFormat
from latentry.errors import InvalidRequest, UnknownModel
from service.doors.fates import MAX_NAMES, ignored_fields
from service.doors.naming import named_as_sent
from service.doors.own_fields import OwnFields
from service.doors.replicate.fields import SCHEDULERS
from service.doors.replicate.refusals import refuse, refuse_impossible
from service.doors.replicate.requests import ModelInput, PredictionRequest
from service.doors.sizes import nearest
from service.http import bodies

INPUT: Final = "input"  # where our fields are
OWNER: Final = "latentry"  # as answers name it
_REFERENCE: Final = re.compile(r"(?:[^/:]+/)?([^/:]+)(?::([^/:]+))?")
# What an input is called where ours has another name: the first one that is sent.
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "n": ("num_outputs", "n"),
    "sampler": ("scheduler", "sampler"),
    "strength": ("prompt_strength", "strength"),
    "num_inference_steps": ("steps", "num_inference_steps"),
    "guidance_scale": ("cfg", "guidance_scale"),
}
_LORAS: Final = {
    "lora_weights": "lora_scale",
    "hf_lora": "lora_scale",
    "extra_lora": "extra_lora_scale",
}
_SAME: Final = {
    *OwnFields.model_fields,
    *("prompt", "width", "height", "image", "mask", "output_format"),
} - {*NAMES, "loras"}


def model_id(reference: str) -> str:
    """The id of ours in `owner/id:version`, in which a version is the id again.

    Raises UnknownModel.
    """
    found = _REFERENCE.fullmatch(reference)
    if not found or found[2] not in (None, found[1]):
        raise UnknownModel
    return found[1]


def requested_model(body: PredictionRequest, of_path: str = "") -> str:
    """The id of the model that the request names. Raises InvalidRequest or UnknownModel."""
    named = [("version", body.version), ("model", body.model)]
    ids = {model_id(reference): name for name, reference in named if reference}
    if of_path:
        ids.setdefault(of_path, "model")
    if not ids:
        why = "Required: the id of a model, such as owner/id."
        raise InvalidRequest(f"version: {why}", fields={"/version": why})
    if len(ids) > 1:
        refuse("version", "It names another model.")
    return next(iter(ids))


def ignored(body: PredictionRequest) -> str:
    """The names of the fields that were sent and have no effect, comma-separated."""
    inputs = body.input
    given = [*ignored_fields(body), *(f"input.{name}" for name in ignored_fields(inputs))]
    if inputs.output_quality is not None and not _has_quality(inputs):
        given.append("input.output_quality")
    scales = set(_LORAS.values()) - {_LORAS[name] for name in _LORAS if getattr(inputs, name)}
    given += [f"input.{name}" for name in sorted(scales) if getattr(inputs, name) is not None]
    return ", ".join(given[:MAX_NAMES])


def generation_request(
    body: PredictionRequest, card: ModelCard, finish_within: int | None = None
) -> GenerationRequest:
    """The same request as ours, to the model of this card. Raises InvalidRequest.

    `finish_within`: seconds, as the header `Cancel-After` says.
    """
    refuse_impossible(body)
    inputs = body.input
    fields: dict[str, Any] = inputs.model_dump(include=_SAME, exclude_none=True)
    fields |= _renamed(inputs) | {"model": card.id, "webhook": _webhook(body)}
    if loras := _loras(inputs):
        fields["loras"] = loras
    if inputs.aspect_ratio not in (None, "custom"):
        fields["width"], fields["height"] = _size(inputs.aspect_ratio or "", card)
    fields.pop("output_quality", None)
    if inputs.output_quality is not None and _has_quality(inputs):
        fields["output_quality"] = max(1, inputs.output_quality)
    if finish_within is not None:
        if inputs.finish_within is not None:
            refuse("input/finish_within", "It means the same as Cancel-After; leave one out.")
        fields["finish_within"] = finish_within
    with named_as_sent(names(body), INPUT):
        try:
            return GenerationRequest.model_validate(fields)
        except ValidationError as error:
            raise bodies.invalid(error, GenerationRequest) from None


def names(body: PredictionRequest) -> Mapping[str, str]:
    """What fields of ours were called in this request, where that is another name."""
    inputs = body.input
    found = {"webhook": "webhook_completed" if body.webhook_completed else "webhook"}
    for ours, theirs in NAMES.items():
        sent = (name for name in theirs if getattr(inputs, name) is not None)
        found[ours] = f"input/{next(sent, ours)}"
    if inputs.aspect_ratio not in (None, "custom"):
        found |= dict.fromkeys(("width", "height"), "input/aspect_ratio")
    if inputs.finish_within is None:
        found["finish_within"] = "Cancel-After"
    if loras := [name for name in _LORAS if getattr(inputs, name) and not inputs.loras]:
        found["loras"] = f"input/{loras[0]}"
    return found


def _renamed(inputs: ModelInput) -> dict[str, Any]:
    """Our fields of which it has another API's name."""
    fields: dict[str, Any] = {}
    for ours, theirs in NAMES.items():
        sent = {name: getattr(inputs, name) for name in theirs}
        given = {name: value for name, value in sent.items() if value is not None}
        if len(given) > 1:
            refuse(f"input/{theirs[0]}", f"It means the same as {theirs[1]}; leave one out.")
        for value in given.values():
            fields[ours] = SCHEDULERS.get(value, value) if ours == "sampler" else value
    return fields


def _loras(inputs: ModelInput) -> list[dict[str, Any]]:
    found = [one.model_dump(exclude_none=True) for one in inputs.loras or ()]
    for name, scale in _LORAS.items():
        if id := getattr(inputs, name):
            weight = getattr(inputs, scale)
            found.append({"id": id, "weight": 1.0 if weight is None else weight})
    return found


def _size(aspect_ratio: str, card: ModelCard) -> tuple[int, int]:
    across, _, down = aspect_ratio.partition(":")
    pixels, ratio = card.defaults.width * card.defaults.height, int(across) / int(down)
    width = math.sqrt(pixels * ratio)
    return nearest((round(width), round(width / ratio)), card.limits)


def _webhook(body: PredictionRequest) -> dict[str, Any] | None:
    url = body.webhook_completed or body.webhook
    if url is None:
        return None
    wanted = ("completed",) if body.webhook_completed else body.webhook_events_filter
    starts = wanted is None or "start" in wanted
    ends = wanted is None or "completed" in wanted
    events = ["running"] * starts + ["succeeded", "failed", "canceled", "expired"] * ends
    return {"url": url, "events": events}


def _has_quality(inputs: ModelInput) -> bool:
    is_lossy = inputs.output_format is OutputFormat.WEBP and not inputs.output_lossless
    return is_lossy or inputs.output_format is OutputFormat.JPEG
