"""What a picture shows, in words."""

from typing import Annotated, ClassVar, Final

from pydantic import Field

from latentry.contracts.background import ResolvedBackground
from latentry.contracts.catalogue.models import Pace
from latentry.contracts.fields import inputs, job
from latentry.contracts.fields.job import JobKind, Priority
from latentry.contracts.outputs import OutputFormat
from latentry.contracts.provenance.marks import Provenance
from latentry.contracts.wire import RequestModel, ResponseModel

# The captioning model is served beside others, under a name that none of them can have.
CAPTIONER: Final = "caption/captioner"
MAX_TOKENS: Final = 64
DEFAULT_TOKENS: Final = 40


class CaptionRequest(RequestModel):
    """A request to say what one picture shows; what is omitted or null takes its default."""

    provenance: ClassVar[None] = None  # no picture is made

    image: inputs.CaptionedImage
    max_tokens: Annotated[int, Field(strict=True, ge=1, le=MAX_TOKENS)] = Field(
        DEFAULT_TOKENS, description="Most tokens of the caption, about as many as words."
    )
    user: job.User = None
    priority: job.QueuePriority = Priority.NORMAL
    start_within: job.StartWithin = None
    finish_within: job.FinishWithin = None
    keep_for: job.KeepFor = None
    dry_run: job.DryRun = False
    metadata: job.Metadata = Field(default_factory=dict)
    webhook: job.WebhookTarget = None


class ResolvedCaption(ResolvedBackground):
    """A caption with every omitted field filled in."""

    kind: ClassVar[JobKind] = JobKind.CAPTION
    decisive: ClassVar[set[str]] = {"max_tokens"}

    # What results that are pictures have.
    output_format: ClassVar[OutputFormat] = OutputFormat.PNG
    output_quality: ClassVar[None] = None
    output_lossless: ClassVar[bool] = False
    provenance: ClassVar[Provenance] = Provenance.NONE

    max_tokens: int

    @property
    def model(self) -> str:
        """What the captioner is served as, in the place of a model."""
        return CAPTIONER

    @property
    def final_size(self) -> tuple[int, int]:
        """Width and height of its picture, in pixels."""
        return self.image.width, self.image.height


class CaptionerCard(ResponseModel):
    """The captioning model of workers in the catalogue, which outlives those that wrote it."""

    id: str = CAPTIONER
    captioner: str = Field(description="The name of its folder.")
    fingerprint: str = Field("", description="SHA-256 of what is in it, in hex.")
    side: int = Field(description="Of the square that it sees, in pixels.")
    pace: Pace | None = Field(None, description="Null until a worker has measured it.")
    safety_labels: tuple[str, ...] = ()

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return CAPTIONER
