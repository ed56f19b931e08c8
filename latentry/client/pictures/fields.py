"""The optional fields of what is made of one picture as keyword arguments."""

from latentry.client.fields import (
    JobFields,
    OutputFields,
    validated,
    with_pictures,
    with_webhook,
)
from latentry.client.pictures import Picture
from latentry.contracts import (
    CaptionRequest,
    ControlRequest,
    Preprocess,
    ResizeMode,
    UpscaleRequest,
)


class UpscaleFields(OutputFields, total=False):
    """The keyword arguments of `upscale` and others: UpscaleRequest's fields besides `image`."""

    scale: float | None
    upscaler: str | None


class ControlFields(OutputFields, total=False):
    """The keyword arguments of `control` and others: ControlRequest's fields besides `image`."""

    preprocess: Preprocess | str | None
    thresholds: tuple[int, int] | None
    width: int | None
    height: int | None
    resize_mode: ResizeMode | str | None


class CaptionFields(JobFields, total=False):
    """The keyword arguments of `caption` and others: CaptionRequest's fields besides `image`."""

    max_tokens: int | None


def upscale_of(image: Picture, fields: UpscaleFields) -> UpscaleRequest:
    """The request of an enlarged picture. Raises as `request_of`."""
    given = with_pictures({"image": image, **fields})
    return validated(UpscaleRequest, with_webhook(given))


def control_of(image: Picture, fields: ControlFields) -> ControlRequest:
    """The request of a preprocessed picture. Raises as `request_of`."""
    given = with_pictures({"image": image, **fields})
    return validated(ControlRequest, with_webhook(given))


def caption_of(image: Picture, fields: CaptionFields) -> CaptionRequest:
    """The request of a caption. Raises as `request_of`."""
    given = with_pictures({"image": image, **fields})
    return validated(CaptionRequest, with_webhook(given))
