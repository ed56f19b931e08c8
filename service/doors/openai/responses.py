"""OpenAI's response and the data of its events, as models."""

import time
from collections.abc import Mapping
from math import ceil
from typing import Any, Final, Self

from pydantic import BaseModel, Field

from latentry.contracts import JobWarning
from latentry.ledger import JobRecord
from service.doors.openai.wanted import Wanted

_TOKENS: Final = 1_000  # of a step-megapixel


class InputTokens(BaseModel):
    """OpenAI's parts of `input_tokens`."""

    text_tokens: int = 0
    image_tokens: int = 0


class ImagesUsage(BaseModel):
    """What was charged, in thousandths of a step-megapixel; reading a request costs nothing."""

    input_tokens: int = 0
    input_tokens_details: InputTokens = Field(default_factory=InputTokens)
    output_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, record: JobRecord, picture: int | None = None) -> Self:
        """Of a job, or of one of its pictures by its place among them; these make up the job's."""
        tokens = ceil(record.price.cost.step_megapixels * _TOKENS)
        if picture is not None:
            each, left = divmod(tokens, record.request.pictures)
            tokens = each + (left if picture == 0 else 0)
        return cls(output_tokens=tokens, total_tokens=tokens)


class Picture(BaseModel):
    """One picture as a URL or as base64, and the seed that reproduces it."""

    url: str | None = None
    b64_json: str | None = None
    seed: int


class Images(BaseModel):
    """OpenAI's response."""

    created: int
    data: list[Picture]
    output_format: str
    size: str
    quality: str
    background: str
    usage: ImagesUsage
    safety_identifier: str | None = None
    warnings: list[JobWarning] | None = None

    @classmethod
    def of(cls, record: JobRecord, data: list[Picture], wanted: Wanted) -> Self:
        """Of an ended job with these pictures."""
        return cls(
            created=record.created_ms // 1000,
            data=data,
            usage=ImagesUsage.of(record),
            warnings=list(record.warnings) or None,
            **_facts(record, wanted),
        )


class PartialImage(BaseModel):
    """OpenAI's event of an image on its way; the image itself is put in when it is sent."""

    type: str
    b64_json: str = ""
    created_at: int
    size: str
    quality: str
    background: str
    output_format: str
    partial_image_index: int
    index: int | None = None  # of several images; OpenAI's streams have one


class CompletedImage(BaseModel):
    """OpenAI's event of a finished image, likewise."""

    type: str
    b64_json: str = ""
    created_at: int
    size: str
    quality: str
    background: str
    output_format: str
    usage: ImagesUsage
    safety_identifier: str | None = None
    warnings: list[JobWarning] | None = None
    seed: int
    index: int | None = None


def partial_image(record: JobRecord, wanted: Wanted, *, number: int, index: int) -> PartialImage:
    """Of a job's image the `number`-th, from 0, on its way; a JPEG whatever it will be."""
    facts = _facts(record, wanted) | {"output_format": "jpeg"}
    return PartialImage(
        type=f"{wanted.events}.partial_image",
        created_at=int(time.time()),
        partial_image_index=number,
        index=_index(record, index),
        **_without(facts, "safety_identifier"),
    )


def completed_image(record: JobRecord, wanted: Wanted, *, index: int, seed: int) -> CompletedImage:
    """Of a job's finished image."""
    return CompletedImage(
        type=f"{wanted.events}.completed",
        created_at=int(time.time()),
        usage=ImagesUsage.of(record, index),
        warnings=list(record.warnings) or None,
        seed=seed,
        index=_index(record, index),
        **_facts(record, wanted),
    )


def _facts(record: JobRecord, wanted: Wanted) -> dict[str, Any]:
    width, height = record.request.final_size
    return {
        "size": f"{width}x{height}",
        "quality": wanted.quality.value,
        "background": "opaque",
        "output_format": record.request.output_format.value,
        "safety_identifier": wanted.safety_identifier,
    }


def _without(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key != name}


def _index(record: JobRecord, index: int) -> int | None:
    return index if record.request.pictures > 1 else None
