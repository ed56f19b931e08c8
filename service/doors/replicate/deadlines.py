"""The `Cancel-After` header: how long a prediction may take before it is canceled."""

import re
from typing import Annotated, Final

from fastapi import Header

from latentry.contracts.fields.bounds import MAX_WITHIN_S
from latentry.errors import InvalidRequest

CancelAfter = Annotated[
    str | None,
    Header(
        alias="Cancel-After",
        description="Cancel the prediction if it has not ended by then, such as `90`, `90s`, `5m`"
        " or `1h30m`: at least 5 seconds.",
        # Documented here; `seconds` checks it, with an error code of its own.
        json_schema_extra={"pattern": r"^([0-9]{1,6}|([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?)$"},
    ),
]

_LEAST_S: Final = 5
_DURATION: Final = re.compile(
    r"(?P<plain>\d{1,6})|(?=\d)(?:(?P<h>\d{1,6})h)?(?:(?P<m>\d{1,6})m)?(?:(?P<s>\d{1,6})s)?",
    re.ASCII,
)


def seconds(text: str | None) -> int | None:
    """How many seconds the header gives; None without one. Raises InvalidRequest."""
    if text is None:
        return None
    found = _DURATION.fullmatch(text.strip())
    if found:
        part = {name: int(value or 0) for name, value in found.groupdict().items()}
        total = part["plain"] + 3600 * part["h"] + 60 * part["m"] + part["s"]
        if _LEAST_S <= total <= MAX_WITHIN_S:
            return total
    why = f"A duration such as 90s, 5m or 1h30m, from {_LEAST_S} s to {MAX_WITHIN_S} s."
    raise InvalidRequest(f"Cancel-After: {why}", fields={"Cancel-After": why})
