"""What a client asks for."""

from typing import Any, Final

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from latentry.contracts.fields import conditioning, inputs, job, sampling, templates
from latentry.contracts.fields.adapters import control, embedding, image_prompt, lora
from latentry.contracts.fields.adapters.vae import VaeOption
from latentry.contracts.fields.bounds import PREVIEW_SIDE_PX
from latentry.contracts.fields.conditioning import PromptSyntax
from latentry.contracts.fields.hires import HiresOption
from latentry.contracts.fields.inputs import InpaintArea, MaskChannel, MaskFill, ResizeMode
from latentry.contracts.fields.intermediates import IntermediatesOption
from latentry.contracts.fields.job import Priority
from latentry.contracts.fields.sampling import Determinism, Seamless
from latentry.contracts.outputs import OutputFormat
from latentry.contracts.provenance.marks import Provenance, ProvenanceOption
from latentry.contracts.wire import RequestModel

_MISSING: Final = PydanticCustomError("missing", "Required, unless `image` is given")


class GenerationRequest(RequestModel):
    """A request for images. A field that is omitted or null takes the model's default.

    `prompt` may be left out where a picture is given.
    """

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["prompt"]}, {"required": ["image"]}]}
    )

    model: sampling.Model = None
    prompt: conditioning.Prompt = ""
    negative_prompt: conditioning.NegativePrompt = ""
    prompt_syntax: conditioning.Syntax = PromptSyntax.WEIGHTED
    styles: templates.Styles = ()
    template: templates.FilledTemplate = None
    clip_skip: conditioning.ClipSkip = None
    loras: lora.Loras = ()
    vae: VaeOption = None
    controls: control.Controls = ()
    image_prompts: image_prompt.ImagePrompts = ()
    embeddings: embedding.Embeddings = None
    width: sampling.Width = None
    height: sampling.Height = None
    num_inference_steps: sampling.Steps = None
    denoise_start: sampling.DenoiseStart = 0.0
    denoise_end: sampling.DenoiseEnd = 1.0
    refiner: sampling.Refiner = None
    refiner_switch_at: sampling.RefinerSwitchAt = 0.8
    guidance_scale: sampling.GuidanceScale = None
    guidance_rescale: sampling.GuidanceRescale = 0.0
    guidance_stop: sampling.GuidanceStop = 1.0
    cache_interval: sampling.CacheInterval = 1
    sampler: sampling.Sampler = None
    spacing: sampling.Spacing = None
    original_size: conditioning.OriginalSize = None
    crops_coords_top_left: conditioning.CropsTopLeft = None
    target_size: conditioning.TargetSize = None
    seed: sampling.Seed = None
    seamless: sampling.SeamlessTiling = Seamless.NONE
    variation_seed: sampling.VariationSeed = None
    variation_strength: sampling.VariationStrength = 0.0
    image: inputs.Image = None
    mask: inputs.Mask = None
    strength: inputs.Strength = None
    image_guidance_scale: inputs.ImageGuidanceScale = None
    resize_mode: inputs.Resize = ResizeMode.STRETCH
    mask_blur: inputs.MaskBlur = 0
    mask_channel: inputs.Channel = MaskChannel.AUTO
    mask_fill: inputs.Fill = MaskFill.ORIGINAL
    inpaint_area: inputs.Area = InpaintArea.WHOLE
    mask_padding: inputs.MaskPadding = 32
    extend: inputs.Sides = None
    hires: HiresOption = None
    n: job.Count = 1
    output_format: job.OutputFormat = OutputFormat.PNG
    output_quality: job.OutputQuality = None
    output_lossless: job.OutputLossless = False
    provenance: ProvenanceOption = Provenance.FULL
    determinism: sampling.DeterminismMode = Determinism.FAST
    preview_interval: job.PreviewInterval = 0
    preview_size: job.PreviewSize = PREVIEW_SIDE_PX
    intermediates: IntermediatesOption = None
    user: job.User = None
    priority: job.QueuePriority = Priority.NORMAL
    start_within: job.StartWithin = None
    finish_within: job.FinishWithin = None
    keep_for: job.KeepFor = None
    dry_run: job.DryRun = False
    metadata: job.Metadata = Field(default_factory=dict)
    webhook: job.WebhookTarget = None

    _split_joined_name = model_validator(mode="before")(sampling.split_joined_name)

    @model_validator(mode="before")
    @classmethod
    def _require_prompt(cls, body: Any) -> Any:
        if not isinstance(body, dict) or any(body.get(n) is not None for n in ("prompt", "image")):
            return body
        wrong = InitErrorDetails(type=_MISSING, loc=("prompt",), input=None)
        raise ValidationError.from_exception_data(cls.__name__, [wrong], hide_input=True)
