"""The Accept header. All responses but pictures and event streams are JSON."""

from typing import Final

from fastapi import Depends, Request

from latentry.errors import NotAcceptable

_JSON: Final = ("*/*", "application/*", "application/json", "application/problem+json")
_USUAL: Final = ("", "*/*", "application/json")  # from nearly all clients


async def accept_json(request: Request) -> None:
    """Check that the client accepts JSON (RFC 9110, 12.5.1). Raises NotAcceptable."""
    accept = request.headers.get("accept", "")
    if accept in _USUAL:
        return
    ranges = [part.split(";") for part in accept.lower().split(",") if part.strip()]
    accepted = (kind.strip() in _JSON and not is_zero(weights) for kind, *weights in ranges)
    if ranges and not any(accepted):
        raise NotAcceptable


def is_zero(parameters: list[str]) -> bool:
    """Whether the parameters of a media range refuse it."""
    return any(part.strip() in ("q=0", "q=0.0", "q=0.00", "q=0.000") for part in parameters)


ACCEPTS_JSON: Final = Depends(accept_json)
