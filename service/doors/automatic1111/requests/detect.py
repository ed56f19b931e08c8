"""`POST /controlnet/detect` as a model."""

from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, model_validator

from latentry.contracts.wire import RequestModel
from service.doors.automatic1111.requests.extras import MAX_PICTURES
from service.doors.automatic1111.requests.fields import Name
from service.doors.automatic1111.requests.pictures import FORMS, Picture
from service.doors.fates import OBEYED, Fate, Here

_WEBUIAPIS: Final = "controlnet_images"  # what webuiapi calls them
_Bound: Final = Field(ge=-1_000_000, le=1_000_000)


class Detect(RequestModel):
    """What a ControlNet would be shown of pictures. Other fields are ignored and named."""

    model_config = ConfigDict(extra="allow")

    controlnet_module: Annotated[
        Name,
        OBEYED,
        Field(description="`none`, `canny` or `invert`; other preprocessors are refused."),
    ] = "none"
    controlnet_input_images: Annotated[
        list[Picture],
        OBEYED,
        Field(
            max_length=MAX_PICTURES,
            description=f"{FORMS} each; a job each. webuiapi: `{_WEBUIAPIS}`.",
            repr=False,
        ),
    ] = Field(default=[], repr=False)
    controlnet_processor_res: Annotated[
        Annotated[float, _Bound],
        OBEYED,
        Field(
            description="Of `canny`: the shorter side of the result; below 1, 512. The others keep"
            " the picture's size."
        ),
    ] = -1
    controlnet_threshold_a: Annotated[
        Annotated[float, _Bound],
        OBEYED,
        Field(description="Of `canny`: the lower one; below 1, 100."),
    ] = -1
    controlnet_threshold_b: Annotated[
        Annotated[float, _Bound],
        OBEYED,
        Field(description="Of `canny`: the upper one; below 1, 200."),
    ] = -1
    controlnet_masks: Annotated[
        list[Any],
        Here(Fate.IGNORED, unless=([],)),
        Field(description="None of these preprocessors reads one.", repr=False),
    ] = Field(default=[], repr=False)
    low_vram: Annotated[
        bool, Here(Fate.IGNORED, unless=(True, False)), Field(description="It means nothing here.")
    ] = False

    @model_validator(mode="before")
    @classmethod
    def _read_names(cls, body: Any) -> Any:
        if not isinstance(body, dict) or _WEBUIAPIS not in body:
            return body
        own = {name: value for name, value in body.items() if name != _WEBUIAPIS}
        return {"controlnet_input_images": body[_WEBUIAPIS], **own}
