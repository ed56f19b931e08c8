"""Sizes that a model can draw, for those that clients of other APIs ask for; and pictures'."""

import base64
import binascii
import math
from typing import Final

from latentry.contracts import Limits
from latentry.errors import InvalidRequest, NotFound
from latentry.ledger.files import PREFIX as FILE_PREFIX
from service.intake.header import read_header
from service.intake.orientation import is_turned
from service.jobs.files import Files

Size = tuple[int, int]  # width and height in pixels

# Headers come before this; in base64, of which four characters are three bytes.
_HEAD_CHARS: Final = 4 * 64 * 1024


def nearest(wished: Size, limits: Limits) -> Size:
    """The size nearest to this one that the model can, in its proportions as far as they go."""
    scale = min(1.0, limits.max_side / max(wished))
    scale = max(scale, limits.min_side / min(wished))
    step = limits.size_step
    least = math.ceil(limits.min_side / step) * step
    most = limits.max_side // step * step
    width, height = (min(max(round(side * scale / step) * step, least), most) for side in wished)
    return width, height


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
