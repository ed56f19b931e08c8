"""OpenAI's requests as ours: what is obeyed, what is refused, and what is ignored and named."""

import re
from typing import Any, Final

from pydantic import ValidationError

from latentry.contracts import GenerationRequest, MaskChannel, ModelCard, ResizeMode
from latentry.ledger import CatalogueEntry
from service.doors.fates import MAX_NAMES, ignored_fields
from service.doors.openai import quality
from service.doors.openai.fields import MODERATIONS
from service.doors.openai.references import image_prompts
from service.doors.openai.refusals import has_quality, refuse_impossible
from service.doors.openai.requests import (
    AnyImagesRequest,
    EditRequest,
    ImagesRequest,
    VariationRequest,
)
from service.doors.own_fields import OwnFields
from service.http import bodies
from service.jobs.admission import STRENGTH

# OpenAI's model ids, which some clients always send; here they mean the default model.
_ALIASES: Final = re.compile(r"dall-e-[23]|(chat)?gpt-image-.*")
# Clients of these never send `response_format`: OpenAI's answer is always base64.
_BASE64_ALIASES: Final = re.compile(r"(chat)?gpt-image-.*")
# Fields of both requests that mean the same.
_SHARED: Final = {*OwnFields.model_fields, "prompt", "n", "output_format"} - {
    *("metadata", "image_prompts")
}
# Of a variation without `strength`: its picture is still to be seen.
_VARIATION_STRENGTH: Final = 0.5
PARTIAL_SIDE_PX: Final = 512


def names_a_model(body: AnyImagesRequest) -> bool:
    """Whether it names a model of ours, by its own id."""
    return bool(body.model) and not _ALIASES.fullmatch(body.model or "")


def wants_base64(body: AnyImagesRequest) -> bool:
    """Whether the answer has the images themselves, not their URLs."""
    if body.response_format is None:
        return _BASE64_ALIASES.fullmatch(body.model or "") is not None
    return body.response_format == "b64_json"


def ignored(body: AnyImagesRequest) -> str:
    """The names of the fields that were sent and have no effect, comma-separated."""
    given = [
        *_ignored_quality(body),
        *_ignored_moderation(body),
        *_ignored_references(body),
        *ignored_fields(body),
    ]
    return ", ".join(given[:MAX_NAMES])


def _ignored_quality(body: AnyImagesRequest) -> list[str]:
    """A field of ours has said the number of steps."""
    return ["quality"] if body.quality and body.num_inference_steps is not None else []


def _ignored_moderation(body: AnyImagesRequest) -> list[str]:
    return [] if body.moderation in (None, *MODERATIONS) else ["moderation"]


def _ignored_references(body: AnyImagesRequest) -> list[str]:
    """An edit of one picture has none for an IP-Adapter."""
    names = ("reference_adapter", "reference_weight")
    is_without = isinstance(body, EditRequest) and not body.references
    return [name for name in names if is_without and getattr(body, name) is not None]


def generation_request(
    body: AnyImagesRequest, entry: CatalogueEntry, size: tuple[int, int] | None = None
) -> GenerationRequest:
    """The same request as ours, to the model of this entry. Raises InvalidRequest.

    `size`: width and height in pixels; None for the model's.
    """
    card = entry.card
    refuse_impossible(body, card)
    fields: dict[str, Any] = body.model_dump(include=_SHARED, exclude_none=True)
    fields |= dict(body.pictures) | _of_pictures(body, card)
    fields["image_prompts"] = image_prompts(body, entry)
    if names_a_model(body):
        fields["model"] = body.model
    labels = {"user": body.user, "safety_identifier": body.safety_identifier}
    given = {name: text for name, text in labels.items() if text}
    fields["metadata"] = dict(body.metadata or {}) | given
    if size:
        fields["width"], fields["height"] = size
    if body.output_compression is not None and has_quality(body):
        fields["output_quality"] = max(1, body.output_compression)
    if body.quality and body.num_inference_steps is None:
        fields["num_inference_steps"] = quality.steps(body.quality, card)
    if body.partial_images:
        fields["preview_interval"] = _interval(body.partial_images, fields, card)
        fields["preview_size"] = PARTIAL_SIDE_PX
    try:
        return GenerationRequest.model_validate(fields)
    except ValidationError as error:
        raise bodies.invalid(error, GenerationRequest) from None


def _of_pictures(body: AnyImagesRequest, card: ModelCard) -> dict[str, Any]:
    """How its picture is used, where OpenAI's clients expect another way than ours."""
    if isinstance(body, ImagesRequest):
        return {}
    fields: dict[str, Any] = {}
    if "mask" in body.pictures and body.mask_channel is None:
        fields["mask_channel"] = MaskChannel.ALPHA
    if body.resize_mode is None:
        fields["resize_mode"] = ResizeMode.CROP  # OpenAI's answers are never stretched
    says = body.strength is not None or body.denoise_start is not None
    starts_from_noise = card.limits.edits or card.limits.refines
    if isinstance(body, VariationRequest) and not (says or starts_from_noise):
        fields["strength"] = _VARIATION_STRENGTH
    return fields


def _interval(partial_images: int, fields: dict[str, Any], card: ModelCard) -> int:
    """After every how many steps an image is shown, so often at least before its last one."""
    steps = fields.get("num_inference_steps", card.defaults.num_inference_steps)
    starts_from_picture = "image" in fields and "mask" not in fields
    made = int(steps * fields.get("strength", STRENGTH if starts_from_picture else 1.0))
    return max(1, made // (partial_images + 1))
