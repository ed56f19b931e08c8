"""What a ControlNet would be shown, made of a picture by itself."""

from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, model_validator

from latentry.contracts.background import ResolvedPicture
from latentry.contracts.catalogue.models import Pace
from latentry.contracts.fields import inputs, job
from latentry.contracts.fields.adapters.control import (
    DEFAULT_THRESHOLDS,
    Preprocess,
    Thresholds,
    are_in_order,
)
from latentry.contracts.fields.bounds import MAX_SIDE_PX
from latentry.contracts.fields.inputs import ResizeMode
from latentry.contracts.fields.job import JobKind, Priority
from latentry.contracts.outputs import OutputFormat
from latentry.contracts.provenance.marks import Provenance, ProvenanceOption
from latentry.contracts.wire import RequestModel, ResponseModel

# Preprocessors are served beside models, under a name that no model can have.
PREPROCESSORS: Final = "control/preprocessors"

_Side = Annotated[int, Field(strict=True, ge=1, le=MAX_SIDE_PX)]


class ControlRequest(RequestModel):
    """A request to preprocess one picture. A field that is omitted or null takes its default."""

    image: inputs.PreprocessedImage
    preprocess: Preprocess = Field(
        Preprocess.CANNY,
        description="What is made of the picture: `canny` (its edges), `invert`, or `none`, which"
        " only resizes it.",
    )
    thresholds: Thresholds = DEFAULT_THRESHOLDS
    width: _Side | None = Field(
        None,
        description="Width of the result. Without `height` in the picture's own proportions;"
        " without both in its own size.",
    )
    height: _Side | None = Field(None, description="Height of the result, likewise.")
    resize_mode: inputs.Resize = ResizeMode.STRETCH
    output_format: job.OutputFormat = OutputFormat.PNG
    output_quality: job.OutputQuality = None
    output_lossless: job.OutputLossless = False
    provenance: ProvenanceOption = Provenance.FULL
    user: job.User = None
    priority: job.QueuePriority = Priority.NORMAL
    start_within: job.StartWithin = None
    finish_within: job.FinishWithin = None
    keep_for: job.KeepFor = None
    dry_run: job.DryRun = False
    metadata: job.Metadata = Field(default_factory=dict)
    webhook: job.WebhookTarget = None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        are_in_order(self.thresholds)
        return self


class ResolvedControl(ResolvedPicture):
    """A control with every omitted field filled in; a side of 0 is not known yet."""

    kind: ClassVar[JobKind] = JobKind.CONTROL
    decisive: ClassVar[set[str]] = {"preprocess", "thresholds", "width", "height", "resize_mode"}

    preprocess: Preprocess
    thresholds: tuple[int, int] = DEFAULT_THRESHOLDS
    width: int = 0
    height: int = 0
    resize_mode: ResizeMode = ResizeMode.STRETCH

    @property
    def model(self) -> str:
        """What preprocessors are served as, in the place of a model."""
        return PREPROCESSORS

    @property
    def final_size(self) -> tuple[int, int]:
        """Width and height of the result, in pixels."""
        return self.width, self.height


class PreprocessorsCard(ResponseModel):
    """The preprocessors of workers in the catalogue, which outlives those that wrote it."""

    id: str = PREPROCESSORS
    preprocessors: tuple[str, ...]
    pace: Pace | None = Field(None, description="Null until a worker has measured it.")
    safety_labels: tuple[str, ...] = ()

    @property
    def queue(self) -> str:
        """The name of their queue."""
        return PREPROCESSORS
