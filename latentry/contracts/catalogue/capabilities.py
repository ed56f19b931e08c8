"""What a service can do, in one answer: `GET /v1/capabilities`."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from latentry.contracts.catalogue.adapters import AdapterKind
from latentry.contracts.catalogue.models import Limits
from latentry.contracts.fields.conditioning import PromptSyntax
from latentry.contracts.fields.job import JobKind
from latentry.contracts.outputs import OutputFormat
from latentry.contracts.wire import ResponseModel


class Mode(StrEnum):
    """A way to make a picture."""

    TEXT_TO_IMAGE = "text_to_image"
    IMAGE_TO_IMAGE = "image_to_image"
    INPAINTING = "inpainting"
    OUTPAINTING = "outpainting"
    EDIT = "edit"
    REFINE = "refine"
    INTERPOLATION = "interpolation"
    CLIP = "clip"


def modes(limits: Limits) -> tuple[Mode, ...]:
    """The ways in which a model with these limits makes pictures."""
    if limits.edits:
        return (Mode.EDIT,)
    if limits.refines:
        return (Mode.REFINE,)
    found = [Mode.TEXT_TO_IMAGE, Mode.INTERPOLATION]
    if limits.images:
        found += [Mode.IMAGE_TO_IMAGE, Mode.INPAINTING, Mode.OUTPAINTING]
    if limits.max_frames:
        found.append(Mode.CLIP)
    return tuple(found)


class ModelModes(ResponseModel):
    """A model, and how it makes pictures; `GET /v1/models` has its limits."""

    id: str
    family: str
    modes: tuple[Mode, ...]
    workers: int = Field(description="Number of live workers that serve it.")


class ServiceLimits(ResponseModel):
    """Bounds that hold for all models."""

    images_per_request: int
    requests_per_batch: int
    prompt_characters: int
    body_bytes: int = Field(description="Of a JSON body without pictures.")
    body_with_pictures_bytes: int
    image_bytes: int = Field(description="Of an uploaded picture.")
    image_pixels: int = Field(description="Width × height of an uploaded picture.")
    wait_s: int = Field(description="Most seconds in `Prefer: wait` and `?wait=`.")
    keep_for_s: int = Field(description="Most seconds in `keep_for`.")
    url_ttl_s: int = Field(description="Lifetime of the URLs of images.")


class Readiness(ResponseModel):
    """That a service accepts jobs, and whether it can draw."""

    status: Literal["ready"] = "ready"
    can_draw: bool = Field(description="Whether a live worker serves any model.")


class Capabilities(ResponseModel):
    """What can be asked for here, so that a client can ask before it tries."""

    version: str
    kinds: tuple[JobKind, ...]
    output_formats: tuple[OutputFormat, ...]
    prompt_syntaxes: tuple[PromptSyntax, ...]
    models: tuple[ModelModes, ...]
    adapters: dict[AdapterKind, int] = Field(description="How many there are of each kind.")
    upscalers: tuple[str, ...]
    preprocessors: tuple[str, ...] = Field((), description="`preprocess` of `POST /v1/controls`.")
    captioner: str | None = Field(
        None, description="The model of `POST /v1/captions`, if there is one."
    )
    styles: int = Field(description="How many styles there are.")
    limits: ServiceLimits
