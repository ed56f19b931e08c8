"""What Replicate's requests may ask and the models, or this API, cannot do."""

from typing import NoReturn

from latentry.contracts import GenerationRequest
from latentry.errors import UnsupportedField
from service.doors.fates import Fate, with_fate
from service.doors.replicate.requests import ModelInput, PredictionRequest


def refuse_impossible(body: PredictionRequest) -> None:
    """Raises UnsupportedField, with the field's name."""
    _refuse_webhooks(body)
    _refuse_doubles(body.input)
    _refuse_fields(body.input)


def _refuse_fields(inputs: ModelInput) -> None:
    for name, here in with_fate(ModelInput, Fate.REFUSED).items():
        value = getattr(inputs, name)
        if value is not None and value not in here.unless:
            why = ModelInput.model_fields[name].description or ""
            refuse(f"input/{name}", why.removeprefix("Refused: ").partition(" `no_")[0])
    for name, value in (inputs.model_extra or {}).items():
        if value is not None and name in GenerationRequest.model_fields:
            refuse(f"input/{name}", "It has no effect here; use POST /v1/generations.")


def _refuse_doubles(inputs: ModelInput) -> None:
    if inputs.lora_weights and inputs.hf_lora:
        refuse("input/hf_lora", "It means the same as lora_weights; leave one out.")
    if inputs.aspect_ratio not in (None, "custom") and (inputs.width or inputs.height):
        refuse("input/aspect_ratio", "It says the size too; leave out width and height.")


def refuse(place: str, why: str) -> NoReturn:
    """Raises UnsupportedField for the field at this place, such as `input/refine`."""
    name = place.replace("/", ".")
    raise UnsupportedField(f"{name}: {why}", fields={f"/{place}": why})


def _refuse_webhooks(body: PredictionRequest) -> None:
    if body.webhook and body.webhook_completed:
        refuse("webhook_completed", "It means the same as webhook; leave one out.")
    wanted = body.webhook_events_filter
    if wanted is None:
        return
    if not body.webhook:
        refuse("webhook_events_filter", "It needs webhook.")
    if not wanted:
        refuse("webhook_events_filter", "Name start, completed or both.")
    if other := sorted(set(wanted) & {"output", "logs"}):
        refuse("webhook_events_filter", f"No webhook is sent for {other[0]}; follow urls.stream.")
