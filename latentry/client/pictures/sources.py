"""Pictures that a caller has, as bytes: paths, files, images, arrays of numpy's."""

import os
import re
from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any, Final, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

from latentry.client.pictures.arrays import Array, array_png
from latentry.client.results import Image
from latentry.contracts import File
from latentry.contracts.fields.inputs import PICTURE_PATTERN
from latentry.errors import InvalidRequest

T = TypeVar("T")

_LONGEST_NAME: Final = 300


@runtime_checkable
class PillowImage(Protocol):
    """What is used of `PIL.Image.Image`, which the SDK does not need."""

    def save(self, fp: Any, format: str) -> None:
        """Write it into an open file."""

    def getbands(self) -> tuple[str, ...]:
        """Not used: other things than images can be saved."""


# A path, the bytes of a file, an open binary file, an image of a job's or of Pillow's, or an array
# of numpy's.
Source: TypeAlias = str | os.PathLike[str] | bytes | IO[bytes] | Image | PillowImage | Array
# The same, or a reference: an uploaded file, its id, a data: URL or an https: URL.
Picture: TypeAlias = Source | File


def picture_bytes(source: Source) -> bytes:
    """The file of a picture, as bytes. Raises as `reference_of`."""
    match source:
        case bytes() | bytearray() | memoryview():
            return bytes(source)
        case str() | os.PathLike():
            with open(source, "rb") as file:
                return file.read()
        case Image():
            return source.read()
        case PillowImage():  # before arrays: asking it for its array copies it
            into = BytesIO()
            source.save(into, format="PNG")
            return into.getvalue()
        case Array():
            return array_png(source)
    read = source.read() if hasattr(source, "read") else None
    if not isinstance(read, bytes):
        raise InvalidRequest(
            "A picture must be a path, bytes, a file opened with 'rb', an image of a job's or of"
            f" Pillow's or an array of numpy's, not {type(source).__name__}."
        )
    return read


async def images_read(given: T) -> T:
    """What an asyncio client was given, with images of jobs as their bytes, which it awaits.

    In lists and mappings too. Raises what reading them does.
    """
    read: Any = given
    if isinstance(given, Image):
        read = await given.aread()
    elif isinstance(given, Mapping):
        read = {name: await images_read(one) for name, one in given.items()}
    elif isinstance(given, list | tuple):
        read = [await images_read(one) for one in given]
        read = tuple(read) if isinstance(given, tuple) else read  # of named ones a plain one
    return cast(T, read)


def reference_of(picture: Picture) -> str:
    """A picture as a request names it; the service reads the format from its bytes.

    Raises OSError, what reading an image of a job's does, or InvalidRequest for what is no picture.
    """
    if isinstance(picture, File):
        return picture.id
    if isinstance(picture, str):
        if re.match(PICTURE_PATTERN, picture):
            return picture
        if not os.path.isfile(picture):
            raise InvalidRequest(
                f"There is no file {_named(picture)}; nor is it a file's id, an https: or a data:"
                " URL."
            )
    return f"data:application/octet-stream;base64,{b64encode(picture_bytes(picture)).decode()}"


def _named(path: str) -> str:
    """A path for a message, which has no room for a picture in base64."""
    if len(path) <= _LONGEST_NAME:
        return path
    return f"{path[:20]}… of {len(path)} characters (base64? Pass its bytes, or a data: URL)"
