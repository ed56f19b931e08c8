"""The optional fields of controls and captions as keyword arguments."""

from typing import Any, TypedDict

from latentry.client.fields import validated, with_pictures, with_webhook
from latentry.client.pictures import Picture
from latentry.contracts import (
    CaptionRequest,
    ControlRequest,
    OutputFormat,
    Preprocess,
    Priority,
    Provenance,
    ResizeMode,
    Webhook,
)


class ControlFields(TypedDict, total=False):
    """The keyword arguments of `control` and others: ControlRequest's fields besides `image`."""

    preprocess: Preprocess | str | None
    thresholds: tuple[int, int] | None
    width: int | None
    height: int | None
    resize_mode: ResizeMode | str | None
    output_format: OutputFormat | str | None
    output_quality: int | None
    output_lossless: bool | None
    provenance: Provenance | str | None
    priority: Priority | str | None
    start_within: int | None
    finish_within: int | None
    keep_for: int | None
    metadata: dict[str, str] | None
    webhook: Webhook | dict[str, Any] | str | None


class CaptionFields(TypedDict, total=False):
    """The keyword arguments of `caption` and others: CaptionRequest's fields besides `image`."""

    max_tokens: int | None
    priority: Priority | str | None
    start_within: int | None
    finish_within: int | None
    keep_for: int | None
    metadata: dict[str, str] | None
    webhook: Webhook | dict[str, Any] | str | None


def control_of(image: Picture, fields: ControlFields) -> ControlRequest:
    """The request of a preprocessed picture. Raises as `request_of`."""
    given = with_pictures({"image": image, **fields})
    return validated(ControlRequest, with_webhook(given))


def caption_of(image: Picture, fields: CaptionFields) -> CaptionRequest:
    """The request of a caption. Raises as `request_of`."""
    given = with_pictures({"image": image, **fields})
    return validated(CaptionRequest, with_webhook(given))
