"""The answers of the routes that make pictures, as models and in pieces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import BaseModel
from pydantic_core import to_json

from latentry.contracts import StoredOutput
from latentry.errors import BodyTooLarge
from latentry.ledger import JobRecord
from service.doors.automatic1111.answers.processed import info
from service.doors.automatic1111.requests.generations import PICTURES, AnyGeneration
from service.doors.automatic1111.translation.ignored import ignored

MAX_BYTES: Final = 512 * 1024  # of what `parameters` say


class GenerationAnswer(BaseModel):
    """`txt2img` and `img2img`: images as base64, the request, and `info` as JSON in a text."""

    images: list[str]
    parameters: dict[str, Any]
    info: str


class SingleImageAnswer(BaseModel):
    """`extra-single-image`."""

    html_info: str
    image: str


class BatchImagesAnswer(BaseModel):
    """`extra-batch-images`."""

    html_info: str
    images: list[str]


class CaptionAnswer(BaseModel):
    """`interrogate`: what the picture shows."""

    caption: str


class PngInfoAnswer(BaseModel):
    """`png-info`: the parameters as a text, all texts of the file, and the parameters read."""

    info: str
    items: dict[str, str]
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is kept of a request while its job is made: how it is answered, and no picture."""

    parameters: bytes  # its fields, as JSON
    headers: Mapping[str, str]
    batch_size: int
    sends: bool
    maps: tuple[bool, ...]  # which ControlNets' maps are wanted

    @classmethod
    def of(cls, body: AnyGeneration, maps: Sequence[bool]) -> Self:
        """Of this request. Raises BodyTooLarge."""
        known = set(type(body).model_fields) - PICTURES
        # Without fields that are not known: SillyTavern sends its password among them.
        fields = body.model_dump(include=known) | dict.fromkeys(_LEFT_OUT[body.route])
        # Kept while the job is made, when its body counts no longer against the room for bodies.
        if len(parameters := to_json(fields)) > MAX_BYTES:
            raise BodyTooLarge(f"Without its pictures, the body is larger than {MAX_BYTES} bytes.")
        return cls(
            parameters=parameters,
            headers=ignored(body),
            batch_size=body.batch_size,
            sends=body.send_images,
            maps=tuple(maps),
        )


# What AUTOMATIC1111's `parameters` have and these do not: pictures.
_LEFT_OUT: Final = {"txt2img": (), "img2img": ("init_images", "mask")}


def around_images(record: JobRecord, wanted: Wanted, images: Sequence[StoredOutput]) -> list[bytes]:
    """The answer in pieces: between two of them belongs the base64 of an image."""
    end = b'"parameters":%s,"info":%s}' % (
        wanted.parameters,
        to_json(info(record, wanted.batch_size)),
    )
    return around(b'{"images":', len(images), b"," + end)


def around(start: bytes, count: int, end: bytes) -> list[bytes]:
    """JSON around a list of texts, of which there are so many."""
    if not count:
        return [start + b"[]" + end]
    return [start + b'["', *[b'","'] * (count - 1), b'"]' + end]
