"""What is kept of OpenAI's request while its job is made: how it is answered, and no picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from service.doors.openai import quality
from service.doors.openai.fields import Quality
from service.doors.openai.requests import AnyImagesRequest
from service.doors.openai.translation import ignored, wants_base64

IGNORED = "X-Ignored-Fields"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the client wants its answer."""

    is_stream: bool
    is_base64: bool
    partial_images: int
    is_low: bool  # less moderation
    events: str  # how the names of its events begin
    quality: Quality
    safety_identifier: str | None
    headers: Mapping[str, str]
    names: Mapping[str, str]  # what its fields are called where that is not our own request's name

    @classmethod
    def of(cls, body: AnyImagesRequest) -> Self:
        """Of this request."""
        left_out = ignored(body)
        return cls(
            is_stream=bool(body.stream),
            is_base64=wants_base64(body),
            partial_images=body.partial_images or 0,
            is_low=body.moderation == "low",
            events=body.events,
            quality=quality.said(body.quality),
            safety_identifier=body.safety_identifier or body.user,
            headers={IGNORED: left_out} if left_out else {},
            names=body.names,
        )
