"""The `Prefer` header (RFC 7240): how long a client would like us to hold the line."""

from collections.abc import Iterable


def wait_s(headers: Iterable[str], *, longest_s: int) -> int | None:
    """Seconds to hold, capped; None if no wait was asked for. What cannot be read is ignored."""
    for header in headers:
        for preference in header.split(","):
            name, _, value = preference.partition(";")[0].partition("=")
            if name.strip().lower() != "wait":
                continue
            digits = value.strip().strip('"')
            if not digits:
                return longest_s  # a bare `wait`, as Replicate's clients send it
            if digits.isascii() and digits.isdigit():
                return longest_s if len(digits) > 6 else min(int(digits), longest_s)
    return None
