"""Hugging Face's requests as ours: what is obeyed, refused, or ignored and named."""

import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from pydantic import ValidationError

from latentry.contracts import GenerationRequest, OutputFormat
from latentry.contracts.fields.bounds import MODEL_ID
from latentry.errors import UnknownModel, UnsupportedField
from service.doors.fates import MAX_NAMES, Fate, ignored_fields, with_fate
from service.doors.hugging_face.requests import InferenceRequest, Parameters
from service.doors.naming import named_as_sent
from service.doors.own_fields import OwnFields
from service.http import bodies

PARAMETERS: Final = "parameters"  # where our fields are
# Of ours `target_size` is another thing, that of SDXL's conditioning.
_SAME: Final = {*OwnFields.model_fields, "width", "height", "mask"} - {"target_size"}


def generation_request(
    body: InferenceRequest, model: str, accepted: OutputFormat
) -> GenerationRequest:
    """The same request as ours, to this model. Raises InvalidRequest or UnknownModel.

    `accepted`: the format of the image, unless the request names one.
    """
    if not re.fullmatch(MODEL_ID, model):  # else a field of the body would be blamed
        raise UnknownModel
    _refuse_impossible(body)
    given = body.parameters
    fields: dict[str, Any] = given.model_dump(include=_SAME, exclude_none=True)
    fields |= {"model": model, "prompt": body.prompt, "image": body.picture}
    fields["output_format"] = given.output_format or accepted
    if given.scheduler is not None:
        fields["sampler"] = given.scheduler
    if given.target_size is not None:
        fields |= given.target_size.model_dump(exclude_none=True)
    with named_as_sent(names(body), PARAMETERS):
        try:
            return GenerationRequest.model_validate(fields)
        except ValidationError as error:
            raise bodies.invalid(error, GenerationRequest) from None


def ignored(body: InferenceRequest) -> str:
    """The names of the fields that were sent and have no effect, comma-separated."""
    of_parameters = (f"{PARAMETERS}.{name}" for name in ignored_fields(body.parameters))
    return ", ".join([*ignored_fields(body), *of_parameters][:MAX_NAMES])


def names(body: InferenceRequest) -> Mapping[str, str]:
    """What fields of ours were called in this request, where that is another name."""
    given = body.parameters
    found = {}
    if body.has_picture:
        found["image"] = "inputs"
    else:
        found["prompt"] = "inputs"
    if given.target_size is not None:
        found |= {side: f"parameters/target_size/{side}" for side in ("width", "height")}
    if given.scheduler is not None:
        found["sampler"] = "parameters/scheduler"
    return found


def _refuse_impossible(body: InferenceRequest) -> None:
    given = body.parameters
    _refuse_fields(given)
    if given.sampler is not None and given.scheduler is not None:
        _refuse("scheduler", "It means the same as sampler; leave one out.")
    if given.target_size is not None and (given.width or given.height):
        _refuse("target_size", "It says the size too; leave out width and height.")
    if body.has_picture and given.image is not None:
        _refuse("image", "The picture is inputs already.")


def _refuse_fields(given: Parameters) -> None:
    for name, here in with_fate(Parameters, Fate.REFUSED).items():
        value = getattr(given, name)
        if value is not None and value not in here.unless:
            _refuse(name, "The answer is one image.")
    for name, value in (given.model_extra or {}).items():
        if value is not None and name in GenerationRequest.model_fields:
            _refuse(name, "It has no effect here; use POST /v1/generations.")


def _refuse(name: str, why: str) -> NoReturn:
    raise UnsupportedField(f"parameters.{name}: {why}", fields={f"/parameters/{name}": why})
