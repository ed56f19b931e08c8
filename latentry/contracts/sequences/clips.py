"""What a client asks for with `POST /v1/clips`."""

from pydantic import Field, model_validator

from latentry.contracts.fields import clip, conditioning, interpolation, job, sampling, templates
from latentry.contracts.fields.adapters import embedding
from latentry.contracts.fields.adapters.vae import VaeOption
from latentry.contracts.fields.conditioning import PromptSyntax
from latentry.contracts.fields.interpolation import SequenceOutput
from latentry.contracts.fields.job import Priority
from latentry.contracts.fields.sampling import Determinism
from latentry.contracts.outputs import OutputFormat
from latentry.contracts.provenance.marks import Provenance, ProvenanceOption
from latentry.contracts.requests import GenerationRequest
from latentry.contracts.wire import RequestModel


class ClipRequest(RequestModel):
    """A request for a short clip, whose frames a motion module draws together from one prompt.

    A field that is omitted or null takes the model's default.
    """

    model: sampling.Model = None
    prompt: conditioning.Prompt
    negative_prompt: conditioning.NegativePrompt = ""
    prompt_syntax: conditioning.Syntax = PromptSyntax.WEIGHTED
    styles: templates.Styles = ()
    template: templates.FilledTemplate = None
    clip_skip: conditioning.ClipSkip = None
    vae: VaeOption = None
    embeddings: embedding.Embeddings = None
    width: sampling.Width = None
    height: sampling.Height = None
    num_inference_steps: sampling.Steps = None
    guidance_scale: sampling.GuidanceScale = None
    guidance_stop: sampling.GuidanceStop = 1.0
    sampler: sampling.Sampler = None
    spacing: sampling.Spacing = None
    seed: sampling.Seed = None
    frames: clip.Frames = None
    fps: interpolation.Fps = None
    output: interpolation.OutputOption = SequenceOutput.WEBP
    output_format: job.OutputFormat = OutputFormat.PNG
    output_quality: job.OutputQuality = None
    output_lossless: job.OutputLossless = False
    provenance: ProvenanceOption = Provenance.FULL
    determinism: sampling.DeterminismMode = Determinism.FAST
    user: job.User = None
    priority: job.QueuePriority = Priority.NORMAL
    start_within: job.StartWithin = None
    finish_within: job.FinishWithin = None
    keep_for: job.KeepFor = None
    dry_run: job.DryRun = False
    metadata: job.Metadata = Field(default_factory=dict)
    webhook: job.WebhookTarget = None

    _split_joined_name = model_validator(mode="before")(sampling.split_joined_name)

    def of_frames(self) -> GenerationRequest:
        """What it says of its frames, as a request for a picture; what it omits stays omitted."""
        shared = GenerationRequest.model_fields.keys() & self.model_fields_set
        return GenerationRequest(**{name: getattr(self, name) for name in shared})
