"""Pictures as base64 inside an answer, one in memory at a time."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from latentry.contracts import StoredOutput
from latentry.storage import Storage

_PIECE_BYTES: Final = 3 * 64 * 1024  # three bytes are four characters


def pieces(data: bytes) -> Iterator[bytes]:
    """The base64 of a picture, piece by piece."""
    for at in range(0, len(data), _PIECE_BYTES):
        yield b64encode(data[at : at + _PIECE_BYTES])


async def read(storage: Storage, image: StoredOutput) -> bytes:
    """A stored picture. Raises FileNotFound or StorageUnavailable."""
    return await asyncio.to_thread(storage.get, image.key)


async def between(
    storage: Storage, images: Sequence[StoredOutput], texts: Sequence[bytes]
) -> AsyncIterator[bytes]:
    """The base64 of each picture between two of the texts, of which there is one more.

    The first picture is read before anything is sent. Raises what `read` does.
    """
    *before, end = texts
    for image, text in zip(images, before, strict=True):
        picture = await read(storage, image)
        yield text
        for piece in pieces(picture):
            yield piece
        del picture  # before the next one is read
    yield end


async def begun(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same, begun already: what fails by its first piece still has its status."""
    first = await anext(source)

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for piece in source:
            yield piece

    return whole()
