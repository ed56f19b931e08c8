"""What is known of a picture that a request brings, before it is fetched or decoded."""

import base64
import binascii
from typing import Final

from latentry.errors import InvalidRequest, NotFound
from latentry.ledger.files import PREFIX as FILE_PREFIX
from service.doors.openai.sizes import Size
from service.intake.header import read_header
from service.intake.orientation import is_turned
from service.jobs.files import Files

# Headers come before this; in base64, of which four characters are three bytes.
_HEAD_CHARS: Final = 4 * 64 * 1024


async def size_of(files: Files, tenant: str, reference: str) -> Size | None:
    """Width and height in pixels, upright; None where that is not known yet, or nothing is."""
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
