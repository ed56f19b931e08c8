"""Units of `alwayson_scripts.ControlNet`, as its extension's clients send them."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from latentry.contracts import ControlMode, ResizeMode
from latentry.contracts.wire import RequestModel
from service.doors.automatic1111.requests.fields import Name
from service.doors.automatic1111.requests.pictures import FORMS, MaybePicture
from service.doors.fates import IGNORED, OBEYED, Fate, Here

# By number and by name, older ones included: `ResizeMode` and `ControlMode` of its
# scripts/enums.py.
RESIZE_MODES: Final[dict[int | str, ResizeMode]] = {
    0: ResizeMode.STRETCH,
    "Just Resize": ResizeMode.STRETCH,
    1: ResizeMode.CROP,
    "Crop and Resize": ResizeMode.CROP,
    "Scale to Fit (Inner Fit)": ResizeMode.CROP,
    "Inner Fit (Scale to Fit)": ResizeMode.CROP,
    2: ResizeMode.PAD,
    "Resize and Fill": ResizeMode.PAD,
    "Envelope (Outer Fit)": ResizeMode.PAD,
    "Outer Fit (Shrink to Fit)": ResizeMode.PAD,
}
CONTROL_MODES: Final[dict[int | str, ControlMode]] = {
    0: ControlMode.BALANCED,
    "Balanced": ControlMode.BALANCED,
    1: ControlMode.PROMPT,
    "My prompt is more important": ControlMode.PROMPT,
    2: ControlMode.CONTROL,
    "ControlNet is more important": ControlMode.CONTROL,
}
# What older versions of the extension call these fields.
_OLD_NAMES: Final = {
    "input_image": "image",
    "guidance": "guidance_end",
    "lowvram": "low_vram",
    "mask_image": "mask",
}
_Seen: Final = Here(Fate.IGNORED, unless=(True, False))
_Empty: Final = Here(Fate.REFUSED, unless=("", []))


def _one(value: Any) -> Any:
    """webuiapi sends a list of one for its default mode."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _mode(known: dict[Any, Any]) -> BeforeValidator:
    def read(value: Any) -> Any:
        value = _one(value)
        return known.get(value, value) if isinstance(value, int | str) else value

    return BeforeValidator(read)


class ControlUnit(RequestModel):
    """One unit. Fields that it does not know are ignored and named in a header."""

    model_config = ConfigDict(extra="allow")

    enabled: Annotated[bool, OBEYED, Field(description="True if omitted.")] = True
    module: Annotated[
        Name,
        OBEYED,
        Field(
            description="`none`, `canny`, `invert`, or for IP-Adapters `ip-adapter…`; other"
            " preprocessors are refused: send their map, with `none`."
        ),
    ] = "none"
    model: Annotated[Name, OBEYED, Field(description="A name of `/controlnet/model_list`.")] = ""
    weight: Annotated[float, OBEYED, Field(ge=0, le=2)] = 1.0
    image: Annotated[
        MaybePicture,
        OBEYED,
        Field(
            repr=False,
            description=f"{FORMS}; of img2img the picture itself if omitted. Older clients:"
            " `input_image`.",
        ),
    ] = Field(None, repr=False)
    resize_mode: Annotated[
        Annotated[ResizeMode, _mode(RESIZE_MODES)],
        OBEYED,
        Field(description="By number or name; `Crop and Resize` if omitted."),
    ] = ResizeMode.CROP
    control_mode: Annotated[
        Annotated[ControlMode, _mode(CONTROL_MODES)],
        OBEYED,
        Field(description="By number or name; `Balanced` if omitted."),
    ] = ControlMode.BALANCED
    guidance_start: Annotated[float, OBEYED, Field(ge=0, le=1)] = 0.0
    guidance_end: Annotated[
        float, OBEYED, Field(ge=0, le=1, description="Older clients: `guidance`.")
    ] = 1.0
    threshold_a: Annotated[
        float, OBEYED, Field(description="Of `canny`: the lower one; below 1, 100.")
    ] = -1.0
    threshold_b: Annotated[
        float, OBEYED, Field(description="Of `canny`: the upper one; below 1, 200.")
    ] = -1.0
    save_detected_map: Annotated[
        bool, OBEYED, Field(description="Append what the ControlNet was shown to `images`.")
    ] = True
    hr_option: Annotated[
        str,
        Here(Fate.REFUSED, unless=("Both", "HiResFixOption.BOTH")),
        Field(max_length=64, description="Refused, unless `Both`."),
    ] = "Both"
    mask: Annotated[
        Any, _Empty, Field(repr=False, description="Refused: a unit follows its whole picture.")
    ] = Field(None, repr=False)
    effective_region_mask: Annotated[
        Any, _Empty, Field(repr=False, description="Refused: it counts in the whole image.")
    ] = Field(None, repr=False)
    advanced_weighting: Annotated[
        Any, _Empty, Field(description="Refused: one weight for all layers.")
    ] = None
    processor_res: Annotated[
        Any,
        Here(Fate.IGNORED, unless=(-1,)),
        Field(description="Pictures are read at the image's own size, as with `pixel_perfect`."),
    ] = None
    pixel_perfect: Annotated[bool, _Seen, Field(description="It is always so.")] = False
    low_vram: Annotated[bool, _Seen, Field(description="It means nothing here.")] = False
    input_mode: Annotated[Any, IGNORED, Field(description="Of its user interface.")] = None

    @model_validator(mode="before")
    @classmethod
    def _read_forms(cls, unit: Any) -> Any:
        """Old names, and a picture that comes with its mask: {image, mask}, or [image, mask]."""
        if not isinstance(unit, dict):
            return unit
        unit = {_OLD_NAMES.get(name, name): value for name, value in unit.items()}
        picture = _one(unit.get("image"))
        if isinstance(picture, list) and len(picture) == 2:
            picture = dict(zip(("image", "mask"), picture, strict=True))
        if isinstance(picture, dict):
            unit["mask"] = unit.get("mask") or picture.get("mask")
            picture = picture.get("image")
        return unit | {"image": picture}
