"""Controls: ControlNets and T2I-Adapters of a request, each with the picture to follow."""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from latentry.contracts.catalogue.adapters import AdapterKind
from latentry.contracts.fields.adapters.lora import ADAPTER_ID
from latentry.contracts.fields.bounds import MAX_CONTROL_WEIGHT, MAX_CONTROLS
from latentry.contracts.fields.inputs import InputFile, Reference, ResizeMode
from latentry.contracts.wire import RequestModel, ResponseModel

DEFAULT_THRESHOLDS: Final = (100, 200)  # as the first two sliders of AUTOMATIC1111's extension


class Preprocess(StrEnum):
    """What is made of the picture before its network sees it."""

    NONE = "none"
    CANNY = "canny"  # white edges on black
    INVERT = "invert"  # black lines on white made white on black


class ControlMode(StrEnum):
    """What counts more, the prompt or the control: three modes of AUTOMATIC1111's extension.

    `guess` is diffusers' guess_mode.
    """

    BALANCED = "balanced"
    PROMPT = "prompt"
    CONTROL = "control"
    GUESS = "guess"

    @property
    def is_of_prompt_alone(self) -> bool:
        """Whether rows of the negative prompt go without."""
        return self in (ControlMode.CONTROL, ControlMode.GUESS)


_Fraction = Annotated[float, Field(strict=True, ge=0, le=1)]
_Threshold = Annotated[int, Field(strict=True, ge=1, le=1020)]
Thresholds = Annotated[
    tuple[_Threshold, _Threshold],
    Field(
        description="Of `canny`: the gradient from which on a pixel continues an edge, and begins"
        " one.",
    ),
]


def are_in_order(thresholds: tuple[int, int]) -> None:
    """Raises ValueError if they are not."""
    if thresholds[0] > thresholds[1]:
        raise ValueError("the first of thresholds must not be above the second")


class WantedControl(RequestModel):
    """A ControlNet or T2I-Adapter by its id, the picture to follow, and how closely."""

    id: Annotated[str, StringConstraints(pattern=ADAPTER_ID)] = Field(
        description="An id of `GET /v1/adapters`, capitals or not where that is unambiguous."
    )
    image: Reference = Field(
        description="The picture to follow, named as `image` of the request is.", repr=False
    )
    weight: Annotated[float, Field(strict=True, ge=0, le=MAX_CONTROL_WEIGHT)] = Field(
        1.0, description="Times its effect; at 0 it has none."
    )
    start: _Fraction = Field(0.0, description="From which fraction of the UNet calls on it counts.")
    end: _Fraction = Field(1.0, description="Up to which fraction of the UNet calls it counts.")
    preprocess: Preprocess = Field(
        Preprocess.NONE,
        description="What is made of the picture first: `canny` (its edges), `invert` or `none`.",
    )
    thresholds: Thresholds = DEFAULT_THRESHOLDS
    mode: ControlMode = Field(
        ControlMode.BALANCED,
        description="`prompt` or `control` counts more, as in AUTOMATIC1111's extension; `guess`:"
        " diffusers' guess mode. T2I-Adapters have `balanced` alone.",
    )
    resize_mode: ResizeMode | None = Field(
        None,
        description="How the picture becomes as large as the result; as the request's"
        " `resize_mode` if omitted.",
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None,
        description="Of the file that is meant; the request is refused if the service has another"
        " one under this id. The service sets it.",
    )
    autov3: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")] | None = Field(
        None, description="The service sets it; sent back it changes nothing."
    )
    kind: AdapterKind | None = Field(
        None, description="The service sets it; sent back it changes nothing."
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.start >= self.end:
            raise ValueError("start must be less than end")
        are_in_order(self.thresholds)
        return self


class Control(ResponseModel):
    """A control that a job uses: which file, on which picture, and how strongly."""

    id: str
    image: InputFile
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    preprocess: Preprocess = Preprocess.NONE
    thresholds: tuple[int, int] = DEFAULT_THRESHOLDS
    mode: ControlMode = ControlMode.BALANCED
    resize_mode: ResizeMode = ResizeMode.STRETCH
    sha256: str
    autov3: str = ""
    kind: AdapterKind = AdapterKind.CONTROLNET

    @property
    def has_effect(self) -> bool:
        """Whether it changes anything."""
        return self.weight > 0

    def window(self, calls: int) -> range:
        """The calls of a pass of so many in which it counts, as diffusers rounds."""
        inside = [k for k in range(calls) if self._holds(k / calls, (k + 1) / calls)]
        return range(inside[0], inside[-1] + 1) if inside else range(0)

    def _holds(self, begin: float, end: float) -> bool:
        return begin >= self.start and end <= self.end


Controls = Annotated[
    tuple[WantedControl, ...],
    Field(
        max_length=MAX_CONTROLS,
        description="ControlNets and T2I-Adapters: {id, image, weight (1.0), start (0), end (1),"
        " preprocess, mode, resize_mode}. What each follows is stored with the job, as an output of"
        " the kind `control`.",
    ),
]
