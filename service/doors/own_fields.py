"""The fields of ours that requests to other APIs may have too, beside those of the API."""

from pydantic import Field

from latentry.contracts import PromptSyntax
from latentry.contracts.fields import conditioning, inputs, job, sampling, templates
from latentry.contracts.fields.adapters import control, embedding, image_prompt, lora
from latentry.contracts.fields.adapters.vae import VaeOption
from latentry.contracts.fields.hires import HiresOption
from latentry.contracts.provenance.marks import ProvenanceOption
from latentry.contracts.wire import RequestModel


class OwnFields(RequestModel):
    """They mean what they mean in `POST /v1/generations`; null and omitted are the same."""

    output_quality: job.OutputQuality = None
    output_lossless: job.OutputLossless | None = None
    negative_prompt: conditioning.NegativePrompt | None = None
    # Clients of other APIs expect brackets to be literal.
    prompt_syntax: conditioning.Syntax = PromptSyntax.PLAIN
    styles: templates.Styles | None = None
    clip_skip: conditioning.ClipSkip = None
    embeddings: embedding.Embeddings = None
    loras: lora.Loras | None = None
    vae: VaeOption = None
    controls: control.Controls | None = None
    image_prompts: image_prompt.ImagePrompts | None = None
    num_inference_steps: sampling.Steps = None
    denoise_start: sampling.DenoiseStart | None = None
    denoise_end: sampling.DenoiseEnd | None = None
    refiner: sampling.Refiner = None
    refiner_switch_at: sampling.RefinerSwitchAt | None = None
    guidance_scale: sampling.GuidanceScale = None
    guidance_rescale: sampling.GuidanceRescale | None = None
    guidance_stop: sampling.GuidanceStop | None = None
    cache_interval: sampling.CacheInterval | None = None
    # Text, because one name may stand for sampler and spacing; the generation request checks it.
    sampler: str | None = Field(
        None, description="Sampling method, also with its spacing, such as `DPM++ 2M Karras`."
    )
    spacing: sampling.Spacing = None
    original_size: conditioning.OriginalSize = None
    crops_coords_top_left: conditioning.CropsTopLeft = None
    target_size: conditioning.TargetSize = None
    seed: sampling.Seed = None
    seamless: sampling.SeamlessTiling | None = None
    variation_seed: sampling.VariationSeed = None
    variation_strength: sampling.VariationStrength | None = None
    strength: inputs.Strength = None
    image_guidance_scale: inputs.ImageGuidanceScale = None
    resize_mode: inputs.Resize | None = None
    mask_blur: inputs.MaskBlur | None = None
    mask_channel: inputs.Channel | None = None
    mask_fill: inputs.Fill | None = None
    inpaint_area: inputs.Area | None = None
    mask_padding: inputs.MaskPadding | None = None
    extend: inputs.Sides = None
    hires: HiresOption = None
    determinism: sampling.DeterminismMode | None = None
    user: job.User = None
    priority: job.QueuePriority | None = None
    start_within: job.StartWithin = None
    finish_within: job.FinishWithin = None
    keep_for: job.KeepFor = None
    provenance: ProvenanceOption | None = None
    metadata: job.Metadata | None = None
