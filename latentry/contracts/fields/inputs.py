"""Pictures that a request brings, and how they are used."""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, StringConstraints

from latentry.contracts.fields.bounds import MAX_GUIDANCE, MAX_PADDING_PX, MAX_SIDE_PX
from latentry.contracts.provenance.marks import C2paState
from latentry.contracts.wire import RequestModel, ResponseModel

# A file's id, a data: URL or an https: URL.
PICTURE_PATTERN: Final = r"^(file_|data:|https://)"


class ResizeMode(StrEnum):
    """How a picture of another size becomes one of the image's size."""

    STRETCH = "stretch"
    CROP = "crop"  # scaled to cover it, and what is outside is cut off
    PAD = "pad"  # scaled to fit into it, and its edges repeated


class MaskFill(StrEnum):
    """What is under the mask before the first step."""

    ORIGINAL = "original"
    FILL = "fill"  # colours of its surroundings
    NOISE = "noise"
    EMPTY = "empty"  # a latent of zeros


class MaskChannel(StrEnum):
    """What of a mask says which pixels are repainted."""

    AUTO = "auto"  # its alpha if anything is transparent, else its brightness
    ALPHA = "alpha"  # transparent is repainted, as in OpenAI's edits; opaque masks repaint nothing
    OPAQUE = "opaque"  # as auto, but what is opaque is repainted: AUTOMATIC1111's masks
    TRANSPARENT = "transparent"  # all but what opaque says: AUTOMATIC1111's inverted masks


class InpaintArea(StrEnum):
    """What is drawn anew: the whole picture, or the mask's surroundings at the model's own size."""

    WHOLE = "whole"
    MASKED = "masked"


_Pixels = Annotated[int, Field(strict=True, ge=0, le=MAX_SIDE_PX, multiple_of=8)]


class Extend(RequestModel):
    """How many pixels are painted on each side of a picture, within the image's size."""

    left: _Pixels = 0
    top: _Pixels = 0
    right: _Pixels = 0
    bottom: _Pixels = 0

    @property
    def is_any(self) -> bool:
        """Whether there is anything to paint."""
        return any((self.left, self.top, self.right, self.bottom))


class InputFile(ResponseModel):
    """A picture that a request brought, as a file of its tenant."""

    file: str
    pixel_sha256: str
    width: int
    height: int
    c2pa: C2paState = Field(
        C2paState.NONE,
        description="What its own manifest was worth when it came.",
        exclude_if=lambda state: state is C2paState.NONE,
    )


def _as_reference(value: Any) -> Any:
    """The file id of an input as answers have it, so that their requests can be sent again."""
    is_input = isinstance(value, dict) and value.keys() <= InputFile.model_fields.keys()
    return value.get("file", value) if is_input else value


Reference = Annotated[
    str, StringConstraints(pattern=PICTURE_PATTERN), BeforeValidator(_as_reference)
]
_Picture = "a file id of `POST /v1/files`, a `data:` URL, or an `https:` URL that is fetched once"

Image = Annotated[
    Reference | None, Field(description=f"The picture to start from, {_Picture}.", repr=False)
]
RequiredImage = Annotated[
    Reference, Field(description=f"The picture to enlarge, {_Picture}.", repr=False)
]
PreprocessedImage = Annotated[
    Reference, Field(description=f"The picture to preprocess, {_Picture}.", repr=False)
]
CaptionedImage = Annotated[
    Reference, Field(description=f"The picture to look at, {_Picture}.", repr=False)
]
PromptImage = Annotated[
    Reference,
    Field(
        description=f"The picture, of which the square in its middle counts: {_Picture}.",
        repr=False,
    ),
]
Mask = Annotated[
    Reference | None,
    Field(
        description="What to repaint of `image`: white is repainted, black kept; if anything is "
        f"transparent, that is repainted instead. It is {_Picture}.",
        repr=False,
    ),
]
Strength = Annotated[
    Annotated[float, Field(strict=True, gt=0, le=1)] | None,
    Field(
        description="How much of the picture may change: the fraction of the steps that is made. "
        "0.8 with `image`, 1.0 with `mask` if omitted."
    ),
]
ImageGuidanceScale = Annotated[
    Annotated[float, Field(strict=True, ge=1, le=MAX_GUIDANCE)] | None,
    Field(
        description="How closely an edit keeps to `image`, as guidance_scale does to the prompt; "
        "1.5 if omitted. Only for models with `limits.edits` (InstructPix2Pix)."
    ),
]
Resize = Annotated[
    ResizeMode,
    Field(
        description="How `image` and `mask` become as large as the result: `stretch`, `crop` "
        "(cover, cut the rest) or `pad` (fit, repeat the edges)."
    ),
]
MaskBlur = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=MAX_PADDING_PX,
        description="Soften the mask's edge by a Gaussian of so many pixels. At 0, pixels outside "
        "the mask are exactly the picture's.",
    ),
]
Fill = Annotated[
    MaskFill,
    Field(
        description="What is under the mask before the first step: `original`, `fill` (colours of "
        "its surroundings), `noise` or `empty`."
    ),
]
Channel = Annotated[
    MaskChannel,
    Field(
        description="`auto`: what is transparent in the mask is repainted, or if nothing is, what "
        "is white. `alpha`: only what is transparent, as in OpenAI's edits. `opaque`: what is not, "
        "or if all is opaque, what is white, as in AUTOMATIC1111; `transparent`: the rest."
    ),
]
Area = Annotated[
    InpaintArea,
    Field(
        description="`masked` draws the mask's surroundings alone, at the full size of the "
        "result, and pastes them back; `whole` draws the whole picture."
    ),
]
MaskPadding = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=MAX_PADDING_PX,
        description="Pixels around the mask that are drawn with it, with `inpaint_area: masked`.",
    ),
]
Sides = Annotated[
    Extend | None,
    Field(
        description="Outpainting: pixels to paint on each side of `image`, which fills the rest of "
        "width and height. Up to 16 pixels of it along each seam are blended; all others stay."
    ),
]
