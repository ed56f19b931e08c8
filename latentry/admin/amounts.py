"""Durations, rates and lists as command line values."""

import re
from typing import Final

import typer

from latentry.api_keys import TENANT, Scope

_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"([0-9]{1,5})([smhd])")
_RATE: Final = re.compile(r"([0-9]{1,6})/(min|s)")


def duration_ms(text: str) -> int:
    """Milliseconds in `90d`, `12h`, `30m` or `45s`."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise typer.BadParameter("a duration is a number and s, m, h or d, such as 90d.")
    return int(found[1]) * _UNITS_MS[found[2]]


def lifetime_ms(text: str) -> int:
    """The same, but above zero: zero would mean that the key never expires."""
    duration = duration_ms(text)
    if not duration:
        raise typer.BadParameter("a lifetime is at least 1s; omit it for a key that never expires.")
    return duration


def per_minute(text: str) -> int:
    """Requests per minute in `60/min` or `2/s`."""
    found = _RATE.fullmatch(text)
    if found is None or not int(found[1]):
        raise typer.BadParameter("a rate is a number above 0 and /min or /s, such as 60/min.")
    return int(found[1]) * (60 if found[2] == "s" else 1)


def scopes(text: str) -> frozenset[Scope]:
    """The scopes in `generations:read,files`."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in set(Scope)]
    if unknown or not words:
        raise typer.BadParameter(f"scopes are a comma-separated list of {', '.join(Scope)}.")
    return frozenset(map(Scope, words))


def tenant(text: str) -> str:
    """The name of a tenant."""
    if not TENANT.fullmatch(text):
        raise typer.BadParameter(
            "a tenant has 1 to 32 characters: a-z, 0-9 and dashes, without a leading dash."
        )
    return text
