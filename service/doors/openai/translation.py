"""OpenAI's request as ours: what is obeyed, what is refused, and what is ignored and named."""

import re
from typing import Any, Final

from pydantic import ValidationError

from latentry.contracts import GenerationRequest, OutputFormat
from latentry.errors import InvalidRequest
from service.doors.openai.dialect import ImagesRequest
from service.doors.openai.sizes import sides
from service.http import bodies

# OpenAI's model ids, which some clients always send; here they mean the default model.
_ALIASES: Final = re.compile(r"dall-e-[23]|(chat)?gpt-image-.*")
# Clients of these never send `response_format`: OpenAI's answer is always base64.
_BASE64_ALIASES: Final = re.compile(r"(chat)?gpt-image-.*")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_NAMES: Final = 32
# Fields of OpenAI's that change nothing here.
_HARMLESS: Final = ("quality", "style", "input_fidelity")
_MODERATIONS: Final = ("auto", "low")
# Fields of both requests that mean the same.
_SHARED: Final = frozenset(
    (ImagesRequest.model_fields.keys() & GenerationRequest.model_fields.keys()) - {"model"}
)


def names_a_model(body: ImagesRequest) -> bool:
    """Whether it names a model of ours, by its own id."""
    return bool(body.model) and not _ALIASES.fullmatch(body.model or "")


def wants_base64(body: ImagesRequest) -> bool:
    """Whether the answer has the images themselves, not their URLs."""
    if body.response_format is None:
        return _BASE64_ALIASES.fullmatch(body.model or "") is not None
    return body.response_format == "b64_json"


def ignored(body: ImagesRequest) -> str:
    """The names of the fields that were sent and have no effect, comma-separated."""
    given = [name for name in _HARMLESS if getattr(body, name) not in (None, "auto")]
    if body.moderation not in (None, *_MODERATIONS):
        given.append("moderation")
    sent = (name for name, value in (body.model_extra or {}).items() if value is not None)
    unknown = sorted(name for name in sent if _NAME.fullmatch(name))
    return ", ".join([*given, *unknown][:_MAX_NAMES])


def generation_request(
    body: ImagesRequest, size: tuple[int, int] | None = None
) -> GenerationRequest:
    """The same request as ours; `size` instead of the one that it names. Raises InvalidRequest."""
    _refuse_impossible(body)
    fields: dict[str, Any] = body.model_dump(include=set(_SHARED), exclude_none=True)
    if names_a_model(body):
        fields["model"] = body.model
    labels = {"user": body.user, "safety_identifier": body.safety_identifier}
    if metadata := {name: text for name, text in labels.items() if text}:
        fields["metadata"] = metadata
    if size or body.size not in (None, "auto"):
        fields["width"], fields["height"] = size or sides(body.size or "")
    if body.output_compression is not None and _has_quality(body):
        fields["output_quality"] = max(1, body.output_compression)
    try:
        return GenerationRequest.model_validate(fields)
    except ValidationError as error:
        raise bodies.invalid(error, GenerationRequest) from None


def _refuse_impossible(body: ImagesRequest) -> None:
    if body.stream:
        _refuse("stream", "`stream` is not supported; leave it out.")
    if body.partial_images:
        _refuse("partial_images", "`partial_images` needs `stream`, which is not supported.")
    if body.background == "transparent":
        _refuse("background", "The model cannot draw a transparent background.")
    compression = body.output_compression
    if compression is not None and body.output_quality is not None:
        _refuse("output_compression", "`output_compression` and `output_quality` are the same.")
    if compression not in (None, 100) and not _has_quality(body):
        _refuse("output_compression", "`output_compression` needs `output_format` jpeg or webp.")
    _refuse_our_other_fields(body)


def _refuse_our_other_fields(body: ImagesRequest) -> None:
    for name, value in (body.model_extra or {}).items():
        if value is not None and name in ("width", "height"):
            _refuse(name, f"`{name}` is part of `size` here, such as 512x512.")
        if value is not None and name in GenerationRequest.model_fields:
            _refuse(name, f"`{name}` has no effect here; use POST /v1/generations.")


def _has_quality(body: ImagesRequest) -> bool:
    return body.output_format in (OutputFormat.JPEG, OutputFormat.WEBP)


def _refuse(name: str, why: str) -> None:
    raise InvalidRequest(why, fields={f"/{name}": why})
