"""Page cursors: where the page before ended, opaque to clients.

A cursor is a text in URL-safe base64 without padding: `job N` with the sequence number of a job,
or `file MS ID` with the Unix milliseconds at which a file expires.
"""

import base64
import binascii
import re
from typing import Final

from latentry.errors import InvalidRequest

_JOB: Final = re.compile(r"job ([0-9]{1,16})")
_FILE: Final = re.compile(r"file ([0-9]{1,16}) (file_[0-9a-f]{32})")


def cursor(sequence: int) -> str:
    """The cursor of the page after the job with this sequence number."""
    return _encoded(f"job {sequence}")


def parse(text: str | None) -> int | None:
    """The sequence number in a cursor; None for the first page. Raises InvalidRequest."""
    return None if text is None else int(_decoded(text, _JOB)[1])


def file_cursor(expires_ms: int, file_id: str) -> str:
    """The cursor of the page after this file."""
    return _encoded(f"file {expires_ms} {file_id}")


def parse_file(text: str | None) -> tuple[int, str] | None:
    """When the last file of the page before expires, and its id. Raises InvalidRequest."""
    if text is None:
        return None
    found = _decoded(text, _FILE)
    return int(found[1]), found[2]


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(text: str, like: re.Pattern[str]) -> re.Match[str]:
    padded = text + "=" * (-len(text) % 4)
    try:
        found = like.fullmatch(base64.b64decode(padded, b"-_", validate=True).decode())
    except (ValueError, binascii.Error):
        found = None
    if found is None:
        why = "Invalid cursor; use `next_cursor`."
        raise InvalidRequest(why, fields={"cursor": why})
    return found
