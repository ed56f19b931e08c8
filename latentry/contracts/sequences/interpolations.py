"""What a client asks for with `POST /v1/interpolations`."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from latentry.contracts.fields import interpolation, job
from latentry.contracts.fields.bounds import MAX_VIA
from latentry.contracts.fields.interpolation import Easing, SequenceOutput
from latentry.contracts.fields.job import Priority
from latentry.contracts.outputs import OutputFormat
from latentry.contracts.provenance.marks import Provenance, ProvenanceOption
from latentry.contracts.requests import GenerationRequest
from latentry.contracts.wire import RequestModel


class InterpolationRequest(RequestModel):
    """A request for the frames on the way from one picture to another.

    `from`, `to` and `via` are whole requests for one image each. They may differ in prompts, seeds,
    pictures to start from and guidance; all else must be equal. What concerns the job stands here.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Annotated[
        GenerationRequest, Field(alias="from", description="The picture of the first frame.")
    ]
    to: Annotated[GenerationRequest, Field(description="The picture of the last frame.")]
    via: Annotated[
        tuple[GenerationRequest, ...],
        Field(
            max_length=MAX_VIA,
            description="Pictures on the way, in this order, equally far from each other.",
        ),
    ] = ()
    frames: interpolation.Frames
    easing: interpolation.EasingOption = Easing.LINEAR
    output: interpolation.OutputOption = SequenceOutput.FRAMES
    fps: interpolation.Fps = None
    output_format: job.OutputFormat = OutputFormat.PNG
    output_quality: job.OutputQuality = None
    output_lossless: job.OutputLossless = False
    provenance: ProvenanceOption = Provenance.FULL
    preview_interval: job.PreviewInterval = 0
    user: job.User = None
    priority: job.QueuePriority = Priority.NORMAL
    start_within: job.StartWithin = None
    finish_within: job.FinishWithin = None
    keep_for: job.KeepFor = None
    dry_run: job.DryRun = False
    metadata: job.Metadata = Field(default_factory=dict)
    webhook: job.WebhookTarget = None

    def keyframes(self) -> dict[str, GenerationRequest]:
        """All its pictures in order, by where they stand in it."""
        between = {f"via/{number}": one for number, one in enumerate(self.via)}
        return {"from": self.from_, **between, "to": self.to}

    def with_keyframes(self, changed: Mapping[str, GenerationRequest]) -> "InterpolationRequest":
        """The same with these pictures instead, by where they stand in it."""
        via = tuple(changed[f"via/{number}"] for number in range(len(self.via)))
        update: dict[str, Any] = {"from_": changed["from"], "via": via, "to": changed["to"]}
        return self.model_copy(update=update)
