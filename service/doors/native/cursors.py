"""Page cursors of `GET /v1/generations`: a job's number in its tenant's history, opaque to clients.

A cursor is the text `turn N` in URL-safe base64 without padding.
"""

import base64
import binascii

from latentry.errors import InvalidRequest


def cursor(turn: int) -> str:
    """The cursor of the page after the job with this number."""
    return base64.urlsafe_b64encode(f"turn {turn}".encode()).decode().rstrip("=")


def parse(text: str | None) -> int | None:
    """The number in a cursor; None for the first page. Raises InvalidRequest."""
    if text is None:
        return None
    padded = text + "=" * (-len(text) % 4)
    try:
        word, _, turn = base64.b64decode(padded, b"-_", validate=True).partition(b" ")
        if word == b"turn" and turn.isdigit() and len(turn) < 17:
            return int(turn)
    except (ValueError, binascii.Error):
        pass
    why = "Invalid cursor; use `next_cursor`."
    raise InvalidRequest(why, fields={"cursor": why})
