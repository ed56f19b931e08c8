"""Page cursors of `GET /v1/generations`: the last job of the page before, opaque to clients.

A cursor is the text `job N` in URL-safe base64 without padding; N is the sequence number.
"""

import base64
import binascii

from latentry.errors import InvalidRequest


def cursor(sequence: int) -> str:
    """The cursor of the page after the job with this sequence number."""
    return base64.urlsafe_b64encode(f"job {sequence}".encode()).decode().rstrip("=")


def parse(text: str | None) -> int | None:
    """The sequence number in a cursor; None for the first page. Raises InvalidRequest."""
    if text is None:
        return None
    padded = text + "=" * (-len(text) % 4)
    try:
        word, _, sequence = base64.b64decode(padded, b"-_", validate=True).partition(b" ")
        if word == b"job" and sequence.isdigit() and len(sequence) < 17:
            return int(sequence)
    except (ValueError, binascii.Error):
        pass
    why = "Invalid cursor; use `next_cursor`."
    raise InvalidRequest(why, fields={"cursor": why})
