"""Sizes: those that OpenAI's clients send unasked are wishes, others are meant; and pictures'."""

import base64
import binascii
import re
from typing import Final

from latentry.contracts import Limits
from latentry.errors import InvalidRequest, NotFound
from latentry.ledger.files import PREFIX as FILE_PREFIX
from service.doors.sizes import Size, nearest
from service.intake.header import read_header
from service.intake.orientation import is_turned
from service.jobs.files import Files

# Headers come before this; in base64, of which four characters are three bytes.
_HEAD_CHARS: Final = 4 * 64 * 1024
_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
# Of dall-e-2, dall-e-3, gpt-image-1 and gpt-image-2, as OpenAI's reference lists them.
_DOCUMENTED: Final = frozenset(
    {
        *("256x256", "512x512", "1024x1024", "1792x1024", "1024x1792", "1536x1024", "1024x1536"),
        *("2048x2048", "2048x1152", "3840x2160", "2160x3840"),
    }
)


def drawn_size(size: str, limits: Limits, *, is_exact: bool) -> Size:
    """The size to draw for one that is asked for. Raises InvalidRequest.

    `is_exact`: the client has chosen a model, and so can know its sizes.
    """
    if is_exact or size not in _DOCUMENTED:
        return _sides(size)
    return nearest(_sides(size), limits)


def _sides(size: str) -> Size:
    if not (found := _SIZE.fullmatch(size)):
        why = "`size` must be `auto` or WIDTHxHEIGHT, such as 512x512."
        raise InvalidRequest(why, fields={"/size": why})
    return int(found[1]), int(found[2])


async def size_of(files: Files, tenant: str, reference: str) -> Size | None:
    """Of a picture that a request brings: width and height in pixels, upright.

    None where that is not known before it is fetched or decoded, and where it is no picture.
    """
    try:
        if reference.startswith(FILE_PREFIX):
            record = await files.record(tenant, reference)
            return record.width, record.height
        if not reference.startswith("data:"):
            return None
        data = _head(reference)
        header = read_header(data)
    except (InvalidRequest, NotFound):  # said with the field's name, by who reads all of it
        return None
    sides = header.width, header.height
    return sides[::-1] if is_turned(data) else sides


def _head(reference: str) -> bytes:
    start = reference.find(",") + 1
    head = reference[start : start + _HEAD_CHARS]
    try:
        return base64.b64decode(head[: len(head) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""
