"""The optional fields of a request as keyword arguments."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypedDict, TypeVar

from pydantic import BaseModel, ValidationError

from latentry.client.pictures import Picture, reference_of
from latentry.contracts import (
    Determinism,
    Easing,
    Extend,
    GenerationRequest,
    InpaintArea,
    InterpolationRequest,
    MaskChannel,
    MaskFill,
    OutputFormat,
    Priority,
    PromptSyntax,
    Provenance,
    ResizeMode,
    ResolvedRequest,
    Sampler,
    Seamless,
    SequenceOutput,
    Spacing,
    Template,
    WantedControl,
    WantedEmbedding,
    WantedHires,
    WantedImagePrompt,
    WantedIntermediates,
    WantedLora,
    WantedVae,
    Webhook,
)
from latentry.contracts.fields.places import FIELDS
from latentry.errors import InvalidRequest
from latentry.validation import invalid

# A picture of an interpolation: a prompt, a request's fields by name, or a finished job's request.
Keyframe: TypeAlias = str | Mapping[str, Any] | GenerationRequest | ResolvedRequest
M = TypeVar("M", bound=BaseModel)


class JobFields(TypedDict, total=False):
    """The keyword arguments that requests of all kinds have."""

    user: str | None
    priority: Priority | str | None
    start_within: int | None
    finish_within: int | None
    keep_for: int | None
    metadata: dict[str, str] | None
    webhook: Webhook | dict[str, Any] | str | None


class OutputFields(JobFields, total=False):
    """Those that all requests for pictures have, too."""

    output_format: OutputFormat | str | None
    output_quality: int | None
    output_lossless: bool | None
    provenance: Provenance | str | None


class Fields(OutputFields, total=False):
    """The keyword arguments of `generate`, `submit` and `estimate`: GenerationRequest's fields."""

    model: str | None
    negative_prompt: str | None
    prompt_syntax: PromptSyntax | str | None
    styles: Sequence[str] | None
    template: Template | dict[str, Any] | None
    clip_skip: int | None
    loras: Sequence[WantedLora | dict[str, Any]] | None
    vae: WantedVae | dict[str, Any] | str | None
    controls: Sequence[WantedControl | dict[str, Any]] | None
    image_prompts: Sequence[WantedImagePrompt | dict[str, Any]] | None
    embeddings: Sequence[WantedEmbedding | dict[str, Any]] | None
    width: int | None
    height: int | None
    num_inference_steps: int | None
    denoise_start: float | None
    denoise_end: float | None
    refiner: str | None
    refiner_switch_at: float | None
    guidance_scale: float | None
    guidance_rescale: float | None
    guidance_stop: float | None
    cache_interval: int | None
    sampler: Sampler | str | None
    spacing: Spacing | str | None
    original_size: tuple[int, int] | None
    crops_coords_top_left: tuple[int, int] | None
    target_size: tuple[int, int] | None
    seed: int | None
    seamless: Seamless | str | None
    variation_seed: int | None
    variation_strength: float | None
    image: Picture | None
    mask: Picture | None
    strength: float | None
    image_guidance_scale: float | None
    resize_mode: ResizeMode | str | None
    mask_blur: int | None
    mask_channel: MaskChannel | str | None
    mask_fill: MaskFill | str | None
    inpaint_area: InpaintArea | str | None
    mask_padding: int | None
    extend: Extend | dict[str, int] | None
    hires: WantedHires | dict[str, Any] | None
    n: int | None
    determinism: Determinism | str | None
    preview_interval: int | None
    preview_size: int | None
    intermediates: WantedIntermediates | dict[str, Any] | None


class InterpolationFields(OutputFields, total=False):
    """The optional keyword arguments of `interpolate`: those of InterpolationRequest."""

    via: Sequence[Keyframe] | None
    easing: Easing | str | None
    output: SequenceOutput | str | None
    fps: int | None
    preview_interval: int | None


def request_of(prompt: str | None, fields: Fields) -> GenerationRequest:
    """The request, with the pictures that it sends along.

    Raises InvalidRequest, which names the invalid fields, or OSError for a file.
    """
    given = with_pictures({"prompt": prompt, **fields})
    return validated(GenerationRequest, with_webhook(given))


def interpolation_of(
    first: Keyframe, last: Keyframe, frames: int, fields: InterpolationFields
) -> InterpolationRequest:
    """The request of frames from one picture to another. Raises as `request_of`."""
    given = {"from": _keyframe(first), "to": _keyframe(last), "frames": frames, **fields}
    via = fields.get("via") or ()
    if isinstance(via, str | Mapping | BaseModel):  # which would be read letter by letter
        why = "Pictures on the way must be a list; of one, [prompt]."
        raise InvalidRequest(f"via: {why}", fields={"/via": why})
    given["via"] = [_keyframe(one) for one in via]
    return validated(InterpolationRequest, with_webhook(given))


def _keyframe(one: Keyframe) -> dict[str, Any]:
    if isinstance(one, BaseModel):
        return one.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    return {"prompt": one} if isinstance(one, str) else with_pictures(one)


def with_pictures(fields: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """The fields that are at this pointer, with their pictures as references."""
    given = dict(fields)
    for name, value in fields.items():
        if name in FIELDS and value is not None and not isinstance(value, dict):
            given[name] = _reference(f"{at}/{name}", value)
        elif isinstance(value, list | tuple):  # of LoRAs or of what else brings pictures
            given[name] = [
                with_pictures(one, f"{at}/{name}/{index}") if isinstance(one, dict) else one
                for index, one in enumerate(value)
            ]
    return given


def _reference(pointer: str, picture: Picture) -> str:
    try:
        return reference_of(picture)
    except InvalidRequest as error:
        name, why = pointer[1:].replace("/", "."), error.message
        raise InvalidRequest(f"{name}: {why}", fields={pointer: why}) from error


def with_webhook(given: dict[str, Any]) -> dict[str, Any]:
    """The fields with a webhook that is named by its URL alone as one."""
    if isinstance(webhook := given.get("webhook"), str):
        given["webhook"] = {"url": webhook}
    return given


def validated(model: type[M], given: Mapping[str, Any]) -> M:
    """A request of this kind. Raises InvalidRequest, which names the first invalid field."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(error, model) from None
