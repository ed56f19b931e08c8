"""The fields of a clip as keyword arguments."""

from collections.abc import Sequence
from typing import Any, TypedDict

from latentry.client.fields import validated
from latentry.contracts import (
    ClipRequest,
    Determinism,
    OutputFormat,
    Priority,
    PromptSyntax,
    Sampler,
    SequenceOutput,
    Spacing,
    Template,
    Webhook,
)


class ClipFields(TypedDict, total=False):
    """The keyword arguments of `clip`, `submit_clip` and `estimate_clip`: ClipRequest's fields."""

    model: str | None
    negative_prompt: str | None
    prompt_syntax: PromptSyntax | str | None
    styles: Sequence[str] | None
    template: Template | dict[str, Any] | None
    clip_skip: int | None
    width: int | None
    height: int | None
    num_inference_steps: int | None
    guidance_scale: float | None
    guidance_stop: float | None
    sampler: Sampler | str | None
    spacing: Spacing | str | None
    seed: int | None
    frames: int | None
    fps: int | None
    output: SequenceOutput | str | None
    output_format: OutputFormat | str | None
    output_quality: int | None
    output_lossless: bool | None
    determinism: Determinism | str | None
    priority: Priority | str | None
    start_within: int | None
    finish_within: int | None
    metadata: dict[str, str] | None
    webhook: Webhook | dict[str, Any] | None


def clip_request_of(prompt: str, fields: ClipFields) -> ClipRequest:
    """The request. Raises InvalidRequest, which names the first invalid field."""
    return validated(ClipRequest, {"prompt": prompt, **fields})
