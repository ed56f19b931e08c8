"""The `Prefer` header (RFC 7240): how long the server should wait for a job's end."""

from collections.abc import Iterable


def wait_s(headers: Iterable[str], *, max_s: int) -> int | None:
    """The `wait` preference in seconds, at most `max_s`; None without a well-formed one."""
    for header in headers:
        for preference in header.split(","):
            name, _, value = preference.partition(";")[0].partition("=")
            if name.strip().lower() != "wait":
                continue
            digits = value.strip().strip('"')
            if not digits:
                return max_s  # a bare `wait`, as Replicate's clients send it
            if digits.isascii() and digits.isdigit():
                return max_s if len(digits) > 6 else min(int(digits), max_s)
    return None
