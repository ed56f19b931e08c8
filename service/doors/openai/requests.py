"""OpenAI's requests as models."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from latentry.contracts.fields import conditioning, inputs, job
from service.doors.openai import fields
from service.doors.own_fields import OwnFields

_MISSING: Final = PydanticCustomError("missing", "Required, or `images` in JSON")


class AnyImagesRequest(OwnFields):
    """OpenAI's fields and latentry's own. Other fields are ignored and named in a header."""

    model_config = ConfigDict(extra="allow")
    events: ClassVar[str]
    """How the names of a stream's events begin."""

    prompt: conditioning.Prompt
    model: fields.Model = None
    n: job.Count | None = None
    size: fields.Size = None
    response_format: fields.ResponseFormat = None
    output_format: job.OutputFormat | None = None
    output_compression: fields.Compression = None
    quality: fields.QualityName = None
    background: fields.Background = None
    stream: fields.Stream = None
    partial_images: fields.PartialImages = None
    user: fields.User = None
    safety_identifier: fields.SafetyIdentifier = None
    moderation: fields.Moderation = None
    complexity: fields.Complexity = None
    input_fidelity: fields.InputFidelity = None
    frame_count: fields.FrameCount = None
    frame_duration_ms: fields.FrameDuration = None
    svg: fields.Svg = None

    @property
    def pictures(self) -> Mapping[str, str]:
        """The pictures that it brings, by the name of our own request's field."""
        return {}

    @property
    def names(self) -> Mapping[str, str]:
        """What its fields are called where that is not our own request's name."""
        return {"width": "size", "height": "size"}


class ImagesRequest(AnyImagesRequest):
    """`POST /v1/images/generations`."""

    events = "image_generation"

    style: fields.Style = None
    image: inputs.Image = None
    mask: inputs.Mask = None

    @property
    def pictures(self) -> Mapping[str, str]:
        """See AnyImagesRequest."""
        return _without_none({"image": self.image, "mask": self.mask})


class EditRequest(AnyImagesRequest):
    """`POST /v1/images/edits`, as a form or as JSON."""

    events = "image_edit"

    image: fields.EditedImages | None = None
    images: fields.References | None = None
    mask: fields.Mask = None
    markup: fields.Markup = None
    reference_adapter: fields.ReferenceAdapter = None
    reference_weight: fields.ReferenceWeight = None

    @model_validator(mode="before")
    @classmethod
    def _require_image(cls, body: Any) -> Any:
        if not isinstance(body, dict) or body.get("image") or body.get("images"):
            return body
        wrong = InitErrorDetails(type=_MISSING, loc=("image",), input=None)
        raise ValidationError.from_exception_data(cls.__name__, [wrong], hide_input=True)

    @property
    def pictures(self) -> Mapping[str, str]:
        """See AnyImagesRequest; of several images the first."""
        mask = None if self.mask is None else self.mask.reference
        return _without_none({"image": self._every[0][1], "mask": mask})

    @property
    def references(self) -> Sequence[tuple[str, str]]:
        """The further pictures: where each was sent, such as `images/1`, and its reference."""
        return self._every[1:]

    @property
    def sent_as(self) -> str:
        """Which field has the last of its pictures."""
        return "images" if self.images else "image"

    @property
    def names(self) -> Mapping[str, str]:
        """See AnyImagesRequest."""
        names = dict(super().names) | ({} if self.image else {"image": "images"})
        if self.references and not self.image_prompts:
            names["image_prompts"] = self.sent_as
        for number, (place, _) in enumerate(self.references, len(self.image_prompts or ())):
            names[f"image_prompts/{number}/image"] = place
            names[f"image_prompts/{number}/id"] = "reference_adapter"
        return names

    @property
    def _every(self) -> Sequence[tuple[str, str]]:
        return [
            (f"{name}/{number}", picture.reference)
            for name, pictures in (("image", self.image), ("images", self.images))
            for number, picture in enumerate(pictures or ())
        ]


class VariationRequest(AnyImagesRequest):
    """`POST /v1/images/variations`, as a form."""

    events = "image_edit"

    prompt: conditioning.Prompt = ""
    image: fields.EditedImages = Field(min_length=1)

    @property
    def pictures(self) -> Mapping[str, str]:
        """See AnyImagesRequest."""
        return {"image": self.image[0].reference}


def _without_none(found: Mapping[str, str | None]) -> dict[str, str]:
    return {name: one for name, one in found.items() if one is not None}
