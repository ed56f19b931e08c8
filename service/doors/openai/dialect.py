"""OpenAI's shapes of an order, its pictures and its refusal."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from latentry.contracts import Determinism, OutputFormat, PromptSyntax
from latentry.contracts.requests import (
    CacheInterval,
    ClipSkip,
    Count,
    Fraction,
    Guidance,
    Prompt,
    Rescale,
    Seed,
    SpacingId,
    Steps,
)


class ImagesRequest(BaseModel):
    """OpenAI's fields, and ours beside them. What is not named here is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    prompt: Prompt
    model: str | None = None
    n: Count | None = None
    size: str | None = Field(None, description="`auto` or `WIDTHxHEIGHT`.")
    response_format: Literal["url", "b64_json"] | None = None
    output_format: OutputFormat | None = None
    stream: bool | None = None
    user: str | None = Field(None, max_length=512)
    negative_prompt: Prompt | None = None
    # OpenAI's users do not expect that brackets mean more than brackets.
    prompt_syntax: PromptSyntax = PromptSyntax.PLAIN
    clip_skip: ClipSkip | None = None
    num_inference_steps: Steps | None = None
    guidance_scale: Guidance | None = None
    guidance_rescale: Rescale | None = None
    guidance_stop: Fraction | None = None
    cache_interval: CacheInterval | None = None
    seed: Seed | None = None
    sampler: str | None = Field(None, description="As in our own orders; they check it.")
    spacing: SpacingId | None = None
    determinism: Determinism | None = None


class Picture(BaseModel):
    """One picture as a URL or as base64, and the seed that reproduces it."""

    url: str | None = None
    b64_json: str | None = None
    seed: int


class Images(BaseModel):
    """OpenAI's response."""

    created: int
    data: list[Picture]
    output_format: str
    size: str
