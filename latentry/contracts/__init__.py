"""Everything that crosses a process boundary: frozen pydantic models and named constants."""

from latentry.contracts.any_request import AnyRequest
from latentry.contracts.background import ResolvedBackground, ResolvedPicture
from latentry.contracts.background.captions import (
    CaptionerCard,
    CaptionRequest,
    ResolvedCaption,
)
from latentry.contracts.background.controls import (
    ControlRequest,
    PreprocessorsCard,
    ResolvedControl,
)
from latentry.contracts.batches import Batch, BatchItem, BatchResult
from latentry.contracts.catalogue.adapters import Adapter, AdapterKind, AdapterList, Suggestion
from latentry.contracts.catalogue.cards import AnyCard
from latentry.contracts.catalogue.models import (
    Defaults,
    Limits,
    Model,
    ModelCard,
    ModelList,
    Pace,
    RegisteredCard,
)
from latentry.contracts.catalogue.styles import Style, StyleDefaults, StyleList
from latentry.contracts.events import Event, EventType, Preview
from latentry.contracts.fields.adapters.control import (
    Control,
    ControlMode,
    Preprocess,
    WantedControl,
)
from latentry.contracts.fields.adapters.embedding import Embedding, WantedEmbedding
from latentry.contracts.fields.adapters.image_prompt import ImagePrompt, WantedImagePrompt
from latentry.contracts.fields.adapters.lora import Lora, WantedLora
from latentry.contracts.fields.adapters.vae import Vae, WantedVae
from latentry.contracts.fields.conditioning import PromptSyntax
from latentry.contracts.fields.hires import Hires, Upscaler, WantedHires
from latentry.contracts.fields.inputs import (
    Extend,
    InpaintArea,
    InputFile,
    MaskChannel,
    MaskFill,
    ResizeMode,
)
from latentry.contracts.fields.intermediates import (
    IntermediateKind,
    Intermediates,
    WantedIntermediates,
)
from latentry.contracts.fields.interpolation import (
    Easing,
    Interpolation,
    Keyframe,
    SequenceOutput,
)
from latentry.contracts.fields.job import JobKind, Priority
from latentry.contracts.fields.sampling import Determinism, Seamless
from latentry.contracts.fields.templates import Template
from latentry.contracts.files import File, FileList
from latentry.contracts.jobs import Job, JobList, JobStatus, JobUrls, JobWarning, Progress
from latentry.contracts.outputs import (
    ClipFormat,
    Image,
    Output,
    OutputFormat,
    OutputKind,
    StoredOutput,
)
from latentry.contracts.pricing import Cost, Estimate
from latentry.contracts.problems import FieldError, JobError, Problem
from latentry.contracts.provenance.marks import C2paState, Provenance
from latentry.contracts.provenance.verification import (
    C2pa,
    MadeHere,
    Manifest,
    Verification,
    VerifyRequest,
    Watermark,
    Xmp,
)
from latentry.contracts.requests import GenerationRequest
from latentry.contracts.resolved import ResolvedRequest
from latentry.contracts.samplers import Sampler, Spacing
from latentry.contracts.sequences.clips import ClipRequest
from latentry.contracts.sequences.interpolations import InterpolationRequest
from latentry.contracts.upscales import (
    ResolvedUpscale,
    ServedUpscaler,
    UpscalerCard,
    UpscaleRequest,
    UpscalerList,
)
from latentry.contracts.usage import Usage, UsageList
from latentry.contracts.webhooks.deliveries import (
    Attempt,
    Delivery,
    DeliveryList,
    DeliveryStatus,
    Notification,
)
from latentry.contracts.webhooks.webhook import Webhook, WebhookEvent

__all__ = [
    "Adapter",
    "AdapterKind",
    "AdapterList",
    "AnyCard",
    "AnyRequest",
    "Attempt",
    "Batch",
    "BatchItem",
    "BatchResult",
    "C2pa",
    "C2paState",
    "CaptionRequest",
    "CaptionerCard",
    "ClipFormat",
    "ClipRequest",
    "Control",
    "ControlMode",
    "ControlRequest",
    "Cost",
    "Defaults",
    "Delivery",
    "DeliveryList",
    "DeliveryStatus",
    "Determinism",
    "Easing",
    "Embedding",
    "Estimate",
    "Event",
    "EventType",
    "Extend",
    "FieldError",
    "File",
    "FileList",
    "GenerationRequest",
    "Hires",
    "Image",
    "ImagePrompt",
    "InpaintArea",
    "InputFile",
    "IntermediateKind",
    "Intermediates",
    "Interpolation",
    "InterpolationRequest",
    "Job",
    "JobError",
    "JobKind",
    "JobList",
    "JobStatus",
    "JobUrls",
    "JobWarning",
    "Keyframe",
    "Limits",
    "Lora",
    "MadeHere",
    "Manifest",
    "MaskChannel",
    "MaskFill",
    "Model",
    "ModelCard",
    "ModelList",
    "Notification",
    "Output",
    "OutputFormat",
    "OutputKind",
    "Pace",
    "Preprocess",
    "PreprocessorsCard",
    "Preview",
    "Priority",
    "Problem",
    "Progress",
    "PromptSyntax",
    "Provenance",
    "RegisteredCard",
    "ResizeMode",
    "ResolvedBackground",
    "ResolvedCaption",
    "ResolvedControl",
    "ResolvedPicture",
    "ResolvedRequest",
    "ResolvedUpscale",
    "Sampler",
    "Seamless",
    "SequenceOutput",
    "ServedUpscaler",
    "Spacing",
    "StoredOutput",
    "Style",
    "StyleDefaults",
    "StyleList",
    "Suggestion",
    "Template",
    "UpscaleRequest",
    "Upscaler",
    "UpscalerCard",
    "UpscalerList",
    "Usage",
    "UsageList",
    "Vae",
    "Verification",
    "VerifyRequest",
    "WantedControl",
    "WantedEmbedding",
    "WantedHires",
    "WantedImagePrompt",
    "WantedIntermediates",
    "WantedLora",
    "WantedVae",
    "Watermark",
    "Webhook",
    "WebhookEvent",
    "Xmp",
]
