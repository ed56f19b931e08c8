"""Enlarging a picture by itself: what a client asks for, what a worker runs, and by what."""

from typing import Annotated, ClassVar, Final

from pydantic import Field, StringConstraints

from latentry.contracts.background import ResolvedPicture
from latentry.contracts.catalogue.models import Pace
from latentry.contracts.fields import inputs, job
from latentry.contracts.fields.job import JobKind, Priority
from latentry.contracts.outputs import OutputFormat
from latentry.contracts.provenance.marks import Provenance, ProvenanceOption
from latentry.contracts.wire import Listing, RequestModel, ResponseModel

LANCZOS: Final = "lanczos"
# As file names are written, but for what separates ids in settings and in the ledger.
UPSCALER_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9._+()-]{0,99}$"
MAX_SCALE: Final = 8.0
# Upscalers are served beside models, under names that no model can have.
_QUEUE: Final = "upscaler/"

UpscalerId = Annotated[str, StringConstraints(pattern=UPSCALER_ID)]


def upscaler_queue(upscaler: str) -> str:
    """The name of an upscaler's queue, by which workers serve it."""
    return f"{_QUEUE}{upscaler}"


class UpscaleRequest(RequestModel):
    """A request to enlarge one picture. A field that is omitted or null takes its default."""

    image: inputs.RequiredImage
    scale: Annotated[float, Field(strict=True, gt=1, le=MAX_SCALE)] | None = Field(
        None,
        description="Times the picture's width and height, at most the upscaler's `scale`; its"
        " `default_scale` if omitted. What a network draws larger is scaled down by Lanczos.",
    )
    upscaler: UpscalerId = Field(
        LANCZOS,
        description="Id of `GET /v1/upscalers`; capitals matter only where two ids differ by them.",
    )
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


class ResolvedUpscale(ResolvedPicture):
    """An upscale with every omitted field filled in."""

    kind: ClassVar[JobKind] = JobKind.UPSCALE
    decisive: ClassVar[set[str]] = {"scale", "upscaler"}

    scale: float
    upscaler: str

    @property
    def model(self) -> str:
        """What its upscaler is served as, in the place of a model."""
        return upscaler_queue(self.upscaler)

    @property
    def final_size(self) -> tuple[int, int]:
        """Width and height of the enlarged picture, in pixels."""
        return round(self.image.width * self.scale), round(self.image.height * self.scale)


class UpscalerCard(ResponseModel):
    """An upscaler in the catalogue, which outlives the workers that wrote it."""

    id: str
    architecture: str = Field(description="`Lanczos`, or the network's as spandrel calls it.")
    scale: float = Field(description="Times that it enlarges width and height, at most.")
    default_scale: float = Field(description="The `scale` of requests that name none.")
    created: int = Field(description="Unix time in seconds.")
    tile: int = Field(
        0, description="Side of the tiles that its network is given, in pixels; 0 without one."
    )
    pace: Pace | None = Field(None, description="Null until a worker has measured it.")
    warnings: tuple[str, ...] = ()
    safety_labels: tuple[str, ...] = Field(
        (), description="What its workers' classifier scores each picture for; rules name them."
    )

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return upscaler_queue(self.id)


class ServedUpscaler(UpscalerCard):
    """An upscaler's card and its live workers."""

    workers: int = Field(description="Number of live workers that serve this upscaler.")


class UpscalerList(Listing[ServedUpscaler]):
    """`GET /v1/upscalers`."""
