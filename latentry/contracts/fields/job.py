"""What a job delivers, when it must run, and whom to notify."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from latentry.contracts import outputs
from latentry.contracts.fields.bounds import (
    MAX_IMAGES,
    MAX_KEEP_S,
    MAX_PREVIEW_SIDE_PX,
    MAX_STEPS,
    MAX_WITHIN_S,
)
from latentry.contracts.webhooks.webhook import Webhook


class JobKind(StrEnum):
    """What a job makes."""

    GENERATION = "generation"
    INTERPOLATION = "interpolation"
    UPSCALE = "upscale"
    CLIP = "clip"
    CONTROL = "control"
    CAPTION = "caption"


class Priority(StrEnum):
    """The order among a tenant's own jobs. It never delays another tenant's job."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


_Seconds = Annotated[int, Field(strict=True, ge=1, le=MAX_WITHIN_S)]
_Label = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_LabelText = Annotated[str, StringConstraints(max_length=512)]

Count = Annotated[
    int,
    Field(
        strict=True,
        ge=1,
        le=MAX_IMAGES,
        description="Number of images; they use the seeds seed, seed + 1, …",
    ),
]
OutputFormat = Annotated[outputs.OutputFormat, Field(description="File format of the images.")]
OutputQuality = Annotated[
    Annotated[int, Field(strict=True, ge=1, le=100)] | None,
    Field(
        description="Quality of JPEG and of lossy WebP, 1 to 100; 90 if omitted. Neither PNG nor "
        "lossless WebP has one."
    ),
]
OutputLossless = Annotated[
    bool,
    Field(
        strict=True,
        description="WebP that keeps every pixel; `output_quality: 100` does not. PNG always does, "
        "JPEG never.",
    ),
]
PreviewInterval = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=MAX_STEPS,
        description="Send a small preview of each image in the event stream every N steps; 0 is "
        "off. Images do not change. Only for models with `limits.previews`.",
    ),
]
PreviewSize = Annotated[
    int,
    Field(
        strict=True,
        ge=16,
        le=MAX_PREVIEW_SIDE_PX,
        description="Longest side of previews in pixels; they are never larger than the image.",
    ),
]
QueuePriority = Annotated[
    Priority,
    Field(
        description="Order among your own jobs: `high` queues as if submitted 10 minutes earlier, "
        "`low` as if 10 minutes later."
    ),
]
StartWithin = Annotated[
    _Seconds | None,
    Field(description="Maximum queue time in seconds; then the job expires without running."),
]
FinishWithin = Annotated[
    _Seconds | None,
    Field(
        description="Maximum time in seconds until the job ends; then it expires, queued or "
        "running."
    ),
]
KeepFor = Annotated[
    Annotated[int, Field(strict=True, ge=1, le=MAX_KEEP_S)] | None,
    Field(
        description="Seconds for which the job, its images and other outputs are kept from its end;"
        " LATENTRY_RESULT_TTL_S if omitted, and at most that or LATENTRY_MAX_KEEP_S. For as long"
        " again the service answers 410."
    ),
]
DryRun = Annotated[
    bool,
    Field(
        strict=True,
        description="Validate and estimate only; no job is created. Answers 200 with the cost and "
        "the estimated start, or the problem.",
    ),
]
Metadata = Annotated[
    dict[_Label, _LabelText],
    Field(max_length=16, description="Your own labels, returned unchanged."),
]
WebhookTarget = Annotated[
    Webhook | None,
    Field(
        description="Where to send a notification when the job ends. Not kept in the image file."
    ),
]
