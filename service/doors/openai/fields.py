"""OpenAI's fields: what each may be, and what becomes of it here."""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from latentry.contracts.fields.adapters.image_prompt import ImagePromptWeight
from latentry.contracts.fields.adapters.lora import ADAPTER_ID
from latentry.contracts.fields.bounds import MAX_USER_CHARS
from latentry.contracts.wire import RequestModel
from service.doors.fates import IGNORED, MAPPED, OBEYED, REFUSED, Fate, Here

MAX_PARTIAL_IMAGES: Final = 3
MAX_IMAGES: Final = 16
MODERATIONS: Final = ("auto", "low")


class Quality(StrEnum):
    """OpenAI's names of how well an image is made, of all its models."""

    AUTO = "auto"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"
    STANDARD = "standard"
    HD = "hd"


class ImageReference(RequestModel):
    """A picture that a JSON body names: one of both fields."""

    image_url: Annotated[str, Field(pattern=r"^(data:|https://)")] | None = Field(
        None, description="An `https:` URL that is fetched once, or a `data:` URL.", repr=False
    )
    file_id: Annotated[str, Field(pattern=r"^file_")] | None = Field(
        None, description="A file id of `POST /v1/files`."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return {"file_id" if value.startswith("file_") else "image_url": value}

    @model_validator(mode="after")
    def _require_one(self) -> "ImageReference":
        if (self.image_url is None) == (self.file_id is None):
            raise PydanticCustomError("one_of", "Exactly one of image_url and file_id is needed")
        return self

    @property
    def reference(self) -> str:
        """It, as our own requests name pictures."""
        return self.image_url or self.file_id or ""


Model = Annotated[
    str | None,
    OBEYED,
    Field(
        description="Model id. OpenAI's names (`gpt-image-*`, `chatgpt-image-*`, `dall-e-2`,"
        " `dall-e-3`) mean the default model."
    ),
]
Size = Annotated[
    str | None,
    MAPPED,
    Field(
        description="`auto` or `WIDTHxHEIGHT` in pixels. Unless `model` is an id of ours, sizes"
        " that OpenAI documents mean the nearest that the model can, in their proportions; any"
        " other is exact. The answer's `size` is the real one."
    ),
]
ResponseFormat = Annotated[
    Literal["url", "b64_json"] | None,
    OBEYED,
    Field(
        description="If omitted, `b64_json` for OpenAI's `gpt-image-*` models, else `url`. A"
        " stream is always base64."
    ),
]
Stream = Annotated[
    Annotated[bool, Field(strict=True)] | None,
    OBEYED,
    Field(description="Answer with OpenAI's server-sent events."),
]
PartialImages = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=MAX_PARTIAL_IMAGES)] | None,
    OBEYED,
    Field(
        description="With `stream`: send each image so many times on its way, as the model"
        " predicts its end, in JPEG. Fewer come of images that are made too quickly."
    ),
]
Background = Annotated[
    Literal["auto", "opaque", "transparent"] | None,
    Here(Fate.REFUSED, unless=("auto", "opaque")),
    Field(description="`transparent` is refused: the models cannot draw that."),
]
Compression = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=100)] | None,
    MAPPED,
    Field(
        description="Quality of JPEG and WebP, as `output_quality`; refused for PNG, unless 100."
    ),
]
QualityName = Annotated[
    Quality | None,
    MAPPED,
    Field(
        description="The number of steps, by the model's own: `low` half of them, `medium`,"
        " `standard` and `auto` as many, `high` and `hd` 1.5 times, `xhigh` twice, `max` three"
        " times. Ignored beside `num_inference_steps`."
    ),
]
Style = Annotated[str | None, IGNORED, Field(max_length=64, description="Ignored.")]
Moderation = Annotated[
    str | None,
    MAPPED,
    Field(
        max_length=64,
        description="`auto` is what is always done; `low` leaves out the rules that this service"
        " relaxes for it. Others are ignored.",
    ),
]
Complexity = Annotated[
    str | None, IGNORED, Field(max_length=64, description="Ignored: nothing is planned.")
]
InputFidelity = Annotated[
    str | None, IGNORED, Field(max_length=64, description="Ignored; see `strength`.")
]
User = Annotated[
    str | None,
    OBEYED,
    Field(
        max_length=MAX_USER_CHARS,
        description="Your users take turns, so that one's many jobs keep no other waiting. Kept in"
        " the job's metadata too.",
    ),
]
SafetyIdentifier = Annotated[
    str | None,
    MAPPED,
    Field(max_length=512, description="Kept in the job's metadata, and returned."),
]
FrameCount = Annotated[Any, REFUSED, Field(description="Refused: GIF is not offered here.")]
FrameDuration = Annotated[Any, REFUSED, Field(description="Refused: GIF is not offered here.")]
Svg = Annotated[Any, REFUSED, Field(description="Refused: no model writes SVG.")]
Markup = Annotated[Any, REFUSED, Field(description="Refused: the models cannot read it.")]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


EditedImages = Annotated[
    tuple[ImageReference, ...],
    OBEYED,
    BeforeValidator(_listed),
    Field(
        max_length=MAX_IMAGES,
        description="The picture: PNG, JPEG or WebP as the form part `image` or `image[]`, or a"
        " file id, `data:` or `https:` URL. Of several the first is edited, and an IP-Adapter reads"
        " the others; variations take one.",
    ),
]
References = Annotated[
    tuple[ImageReference, ...],
    OBEYED,
    Field(
        max_length=MAX_IMAGES,
        description="The same in JSON: {`image_url`} or {`file_id`}.",
    ),
]
ReferenceAdapter = Annotated[
    Annotated[str, StringConstraints(pattern=ADAPTER_ID)] | None,
    Field(
        description="Which IP-Adapter of `GET /v1/adapters` reads the pictures after the first. If"
        " omitted, the first of the model's by id that is not for faces by its name."
    ),
]
ReferenceWeight = Annotated[
    ImagePromptWeight | None,
    Field(description="How much each of those pictures counts; 0.6 if omitted."),
]
Mask = Annotated[
    ImageReference | None,
    OBEYED,
    Field(
        description="What to repaint of the picture: where it is transparent. A form part, or in"
        " JSON {`image_url`} or {`file_id`}."
    ),
]
