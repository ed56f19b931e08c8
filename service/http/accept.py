"""What a client would have as an answer. All but pictures and event streams is JSON."""

from typing import Annotated, Final

from fastapi import Depends, Header

from latentry.errors import NotAcceptable

_JSON: Final = ("*/*", "application/*", "application/json", "application/problem+json")


async def json_is_fine(accept: Annotated[str, Header(include_in_schema=False)] = "") -> None:
    """Let pass who takes JSON, or does not say (RFC 9110, 12.5.1). Raises NotAcceptable."""
    ranges = [part.split(";") for part in accept.lower().split(",") if part.strip()]
    if ranges and not any(kind.strip() in _JSON and not _is_none(with_) for kind, *with_ in ranges):
        raise NotAcceptable


def _is_none(parameters: list[str]) -> bool:
    return any(part.strip() in ("q=0", "q=0.0", "q=0.00", "q=0.000") for part in parameters)


AnswersJson: Final = Depends(json_is_fine)
