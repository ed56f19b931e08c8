"""`extra-single-image`, `extra-batch-images`, `png-info` and `interrogate` as models."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from latentry.contracts.wire import RequestModel
from service.doors.automatic1111.requests.fields import MAX_NUMBER, Name
from service.doors.automatic1111.requests.pictures import FORMS, MaybePicture, Picture
from service.doors.fates import OBEYED, Fate, Here

MAX_PICTURES: Final = 16
_Zero = Here(Fate.REFUSED, unless=(0,))
_Restoring = Annotated[
    float, _Zero, Field(description="Refused, unless 0: no models that restore faces are here.")
]


class AnyExtra(RequestModel):
    """The fields of both. Others are ignored and named in a header."""

    model_config = ConfigDict(extra="allow")

    upscaler_1: Annotated[
        Name,
        OBEYED,
        Field(description="A name of `GET /sdapi/v1/upscalers`; `None` changes nothing."),
    ] = "None"
    resize_mode: Annotated[
        int, OBEYED, Field(ge=0, le=1, description="0: by a factor; 1: to a size.")
    ] = 0
    upscaling_resize: Annotated[
        float, OBEYED, Field(gt=1, description="The factor, within the upscaler's own.")
    ] = 2.0
    upscaling_resize_w: Annotated[
        int,
        OBEYED,
        Field(ge=1, le=MAX_NUMBER, description="Width, in the picture's own proportions."),
    ] = 512
    upscaling_resize_h: Annotated[
        int,
        OBEYED,
        Field(ge=1, le=MAX_NUMBER, description="Height, in the picture's own proportions."),
    ] = 512
    upscaling_crop: Annotated[
        bool,
        Here(Fate.IGNORED, unless=(True, False)),
        Field(description="Nothing is cropped: other proportions are refused."),
    ] = True
    upscaler_2: Annotated[
        Name, Here(Fate.IGNORED, unless=("None", "")), Field(description="Ignored.")
    ] = "None"
    extras_upscaler_2_visibility: Annotated[
        float, _Zero, Field(description="Refused, unless 0.")
    ] = 0.0
    gfpgan_visibility: _Restoring = 0.0
    codeformer_visibility: _Restoring = 0.0
    codeformer_weight: Annotated[
        float, Here(Fate.IGNORED, unless=(0,)), Field(description="Ignored.")
    ] = 0.0
    upscale_first: Annotated[
        bool, Here(Fate.IGNORED, unless=(True, False)), Field(description="It means nothing here.")
    ] = False
    show_extras_results: Annotated[
        bool, Here(Fate.IGNORED, unless=(True,)), Field(description="The answer has the picture.")
    ] = True


class ExtraSingleImage(AnyExtra):
    """`POST /sdapi/v1/extra-single-image`."""

    image: Annotated[Picture, OBEYED, Field(description=f"The picture: {FORMS}.", repr=False)]


class NamedPicture(RequestModel):
    """One of several pictures."""

    model_config = ConfigDict(extra="ignore")

    data: Annotated[Picture, OBEYED, Field(repr=False)]
    name: Name = ""


class ExtraBatchImages(AnyExtra):
    """`POST /sdapi/v1/extra-batch-images`."""

    imageList: Annotated[  # noqa: N815 - as it is called there
        list[NamedPicture],
        OBEYED,
        Field(
            min_length=1,
            max_length=MAX_PICTURES,
            description="{data, name} each; a job each.",
            repr=False,
        ),
    ]


class PngInfo(RequestModel):
    """`POST /sdapi/v1/png-info`."""

    model_config = ConfigDict(extra="ignore")

    image: Annotated[Picture, OBEYED, Field(description=f"The file: {FORMS}.", repr=False)]


class Interrogate(RequestModel):
    """`POST /sdapi/v1/interrogate`."""

    model_config = ConfigDict(extra="allow")

    image: Annotated[
        MaybePicture, OBEYED, Field(description=f"The picture: {FORMS}.", repr=False)
    ] = Field(None, repr=False)
    model: Annotated[
        Name, OBEYED, Field(description="`clip` is the captioning model; others are refused.")
    ] = "clip"
