"""OpenAI's request, response and error as models."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from latentry.contracts import PromptSyntax
from latentry.contracts.fields import conditioning, job, lora, sampling, templates
from latentry.contracts.fields.hires import HiresOption
from latentry.contracts.fields.vae import VaeOption
from latentry.contracts.wire import RequestModel


class ImagesRequest(RequestModel):
    """OpenAI's fields and latentry's own. Other fields are ignored and named in a header."""

    model_config = ConfigDict(extra="allow")

    prompt: conditioning.Prompt
    model: str | None = Field(None, description="Model id; OpenAI's names mean the default model.")
    n: job.Count | None = None
    size: str | None = Field(
        None,
        description="`auto` or `WIDTHxHEIGHT` in pixels. Unless `model` is an id of ours, sizes"
        " that OpenAI documents mean the nearest that the model can.",
    )
    response_format: Literal["url", "b64_json"] | None = Field(
        None,
        description="If omitted, `b64_json` for OpenAI's `gpt-image-*` models, else `url`.",
    )
    output_format: job.OutputFormat | None = None
    output_quality: job.OutputQuality = None
    output_lossless: job.OutputLossless | None = None
    stream: bool | None = Field(None, description="Not supported; omit or set to false.")
    partial_images: Annotated[int, Field(strict=True, ge=0, le=3)] | None = Field(
        None, description="Not supported; omit or set to 0."
    )
    background: Literal["auto", "opaque", "transparent"] | None = Field(
        None, description="`transparent` is refused: the models cannot."
    )
    output_compression: Annotated[int, Field(strict=True, ge=0, le=100)] | None = Field(
        None, description="Quality of JPEG and WebP, as `output_quality`."
    )
    quality: str | None = Field(None, max_length=64, description="Ignored.")
    style: str | None = Field(None, max_length=64, description="Ignored.")
    moderation: str | None = Field(None, max_length=64, description="Ignored.")
    input_fidelity: str | None = Field(None, max_length=64, description="Ignored.")
    user: str | None = Field(None, max_length=512, description="Kept in the job's metadata.")
    safety_identifier: str | None = Field(
        None, max_length=512, description="Kept in the job's metadata."
    )
    negative_prompt: conditioning.NegativePrompt | None = None
    # OpenAI's clients expect brackets to be literal.
    prompt_syntax: conditioning.Syntax = PromptSyntax.PLAIN
    styles: templates.Styles | None = None
    clip_skip: conditioning.ClipSkip = None
    loras: lora.Loras | None = None
    vae: VaeOption = None
    num_inference_steps: sampling.Steps = None
    denoise_end: sampling.DenoiseEnd | None = None
    refiner: sampling.Refiner = None
    refiner_switch_at: sampling.RefinerSwitchAt | None = None
    guidance_scale: sampling.GuidanceScale = None
    guidance_rescale: sampling.GuidanceRescale | None = None
    guidance_stop: sampling.GuidanceStop | None = None
    cache_interval: sampling.CacheInterval | None = None
    seed: sampling.Seed = None
    seamless: sampling.SeamlessTiling | None = None
    variation_seed: sampling.VariationSeed = None
    variation_strength: sampling.VariationStrength | None = None
    # Text, because one name may stand for sampler and spacing; the generation request checks it.
    sampler: str | None = Field(
        None, description="Sampling method, also with its spacing, such as `DPM++ 2M Karras`."
    )
    spacing: sampling.Spacing = None
    hires: HiresOption = None
    determinism: sampling.DeterminismMode | None = None


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
