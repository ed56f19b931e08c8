"""Pictures as base64, one in memory at a time."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from pydantic import BaseModel

from latentry.contracts import StoredOutput
from latentry.storage import Storage
from service.doors.openai.responses import Images, Picture

_PIECE_BYTES: Final = 3 * 64 * 1024  # three bytes are four characters
_START: Final = '"b64_json":"'
_EMPTY: Final = '"b64_json":""'


def pieces(data: bytes) -> Iterator[bytes]:
    """The base64 of a picture, piece by piece."""
    for at in range(0, len(data), _PIECE_BYTES):
        yield b64encode(data[at : at + _PIECE_BYTES])


async def read(storage: Storage, image: StoredOutput) -> bytes:
    """A stored picture. Raises FileNotFound or StorageUnavailable."""
    return await asyncio.to_thread(storage.get, image.key)


def around_pictures(answer: BaseModel) -> list[bytes]:
    """The answer as JSON, in pieces: between two of them belongs the base64 of a picture.

    Its places are where `b64_json` is empty. No text of a caller looks so: its quotes are escaped.
    """
    text = answer.model_dump_json(exclude_none=True)
    first, *rest = text.split(_EMPTY)
    starts = [first, *(f'"{part}' for part in rest)]
    return [f"{part}{_START}".encode() for part in starts[:-1]] + [starts[-1].encode()]


async def with_base64(
    storage: Storage, images: Sequence[StoredOutput], answer: Images
) -> AsyncIterator[bytes]:
    """The answer as JSON with the images themselves in its `data`.

    The first one is read before anything is sent. Raises what `read` does.
    """
    data = [Picture(b64_json="", seed=image.seed) for image in images]
    *before, end = around_pictures(answer.model_copy(update={"data": data}))
    for image, text in zip(images, before, strict=True):
        picture = await read(storage, image)
        yield text
        for piece in pieces(picture):
            yield piece
        del picture  # before the next one is read
    yield end
