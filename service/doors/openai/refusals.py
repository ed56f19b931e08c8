"""What OpenAI's requests may ask and the models, or this API, cannot do."""

from latentry.contracts import GenerationRequest, ModelCard, OutputFormat
from latentry.errors import UnsupportedField
from service.doors.fates import Fate, with_fate
from service.doors.openai.requests import AnyImagesRequest, VariationRequest


def refuse_impossible(body: AnyImagesRequest, card: ModelCard) -> None:
    """Raises UnsupportedField, with the field's name."""
    _refuse_stream(body, card)
    _refuse_compression(body)
    for name, here in with_fate(type(body), Fate.REFUSED).items():
        value = getattr(body, name)
        if value is not None and value not in here.unless:
            why = type(body).model_fields[name].description or ""
            _refuse(name, why.rpartition("efused: ")[2].capitalize())
    if isinstance(body, VariationRequest) and len(body.image) > 1:
        _refuse("image", "A variation is of one picture.")
    _refuse_our_other_fields(body)


def has_quality(body: AnyImagesRequest) -> bool:
    """Whether its files have a quality."""
    return body.output_format in (OutputFormat.JPEG, OutputFormat.WEBP)


def _refuse_stream(body: AnyImagesRequest, card: ModelCard) -> None:
    if body.partial_images and not body.stream:
        _refuse("partial_images", "It needs stream.")
    if body.partial_images and not card.limits.previews:
        _refuse("partial_images", f"{card.id} does not show images on their way.")
    if body.stream and body.response_format == "url":
        _refuse("response_format", "A stream has the images themselves: b64_json.")


def _refuse_compression(body: AnyImagesRequest) -> None:
    compression = body.output_compression
    if compression is not None and body.output_quality is not None:
        _refuse("output_compression", "It means the same as output_quality; leave one out.")
    if compression not in (None, 100) and not has_quality(body):
        _refuse("output_compression", "It needs output_format jpeg or webp.")


def _refuse_our_other_fields(body: AnyImagesRequest) -> None:
    for name, value in (body.model_extra or {}).items():
        if value is not None and name in ("width", "height"):
            _refuse(name, "Here it is part of size, such as 512x512.")
        if value is not None and name in GenerationRequest.model_fields:
            _refuse(name, "It has no effect here; use POST /v1/generations.")


def _refuse(name: str, why: str) -> None:
    raise UnsupportedField(f"{name}: {why}", fields={f"/{name}": why})
