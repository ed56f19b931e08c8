"""Hugging Face's inference request as models: what each field may be, and what becomes of it."""

import re
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from latentry.contracts.fields import conditioning, inputs, job, sampling
from latentry.contracts.wire import RequestModel
from service.doors.fates import IGNORED, MAPPED, OBEYED, Fate, Here
from service.doors.own_fields import OwnFields

# How the base64 of a PNG, a JPEG and a WebP begins; no prompt does.
_PICTURE: Final = re.compile(r"(iVBORw0KGgo|/9j/|UklGR)[A-Za-z0-9+/]{16}")
_REFERENCES: Final = ("data:", "https://", "file_")


class TargetSize(RequestModel):
    """The size of an image that is made of a picture."""

    width: sampling.Width = None
    height: sampling.Height = None


Prompt = Annotated[
    conditioning.Prompt | None,
    OBEYED,
    Field(description="Of image to image: what the image should show. `inputs` is the picture."),
]
Target = Annotated[
    TargetSize | None,
    MAPPED,
    Field(description="{`width`, `height`}: the image's size, as both fields say it."),
]
Scheduler = Annotated[
    Annotated[str, StringConstraints(max_length=64)] | None,
    MAPPED,
    Field(description="`sampler`: diffusers' names, AUTOMATIC1111's or ours."),
]
Images = Annotated[
    Any,
    Here(Fate.REFUSED, unless=(1,)),
    Field(description="Refused, unless 1: the answer is one image."),
]
OutputFormat = Annotated[
    job.OutputFormat | None,
    OBEYED,
    Field(description="File format of the image; what `Accept` names, or `png`, if omitted."),
]


class Parameters(OwnFields):
    """`parameters`: Hugging Face's and latentry's own. Others are ignored and named in a header."""

    model_config = ConfigDict(extra="allow")

    prompt: Prompt = None
    width: sampling.Width = None
    height: sampling.Height = None
    # Of ours, it is SDXL's size conditioning.
    target_size: Target = None  # type: ignore[assignment]
    scheduler: Scheduler = None
    num_images_per_prompt: Images = None
    output_format: OutputFormat = None
    image: inputs.Image = None
    mask: inputs.Mask = None


class InferenceRequest(RequestModel):
    """The body of Hugging Face's text to image and image to image."""

    model_config = ConfigDict(extra="allow")

    inputs: Annotated[
        str,
        OBEYED,
        Field(
            min_length=1,
            repr=False,
            description="The prompt; or the picture that the image starts from, as base64, where"
            " `parameters.prompt` is sent or it is such.",
        ),
    ]
    parameters: Parameters = Field(default_factory=Parameters, description="See below.")
    options: Annotated[
        Any,
        IGNORED,
        Field(
            description="Ignored: a request always waits for its model, and none is answered"
            " from a cache."
        ),
    ] = None

    @property
    def has_picture(self) -> bool:
        """Whether `inputs` is a picture."""
        return self.parameters.prompt is not None or _PICTURE.match(self.inputs) is not None

    @property
    def prompt(self) -> str:
        """What the image should show."""
        return (self.parameters.prompt or "") if self.has_picture else self.inputs

    @property
    def picture(self) -> str | None:
        """The picture that it starts from, as our own requests name pictures."""
        if not self.has_picture:
            return self.parameters.image
        if self.inputs.startswith(_REFERENCES):
            return self.inputs
        return f"data:application/octet-stream;base64,{self.inputs}"
