"""Python and the packages of the extras: whether they are there, in versions that suit."""

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from latentry.cli.doctor.findings import Finding, ok, warning

# What each needs; the gateway is checked where this runs, as it needs its packages itself.
_EXTRAS: Final = {"server": "the gateway", "worker": "the worker"}


def examine() -> Iterator[Finding]:
    """Compare what is installed with what latentry asks for."""
    yield ok("Python", f"{sys.version.partition(' ')[0]} at {sys.executable}.")
    for extra, process in _EXTRAS.items():
        wrong = list(_wrong(extra))
        if wrong:
            yield warning(
                "packages",
                f"{process} cannot run here, or not well: {'; '.join(wrong)}. Install"
                f" 'latentry[{extra}]'.",
            )
        else:
            yield ok("packages", f"all of {process}, in versions that suit.")


def _wrong(extra: str) -> Iterator[str]:
    """What is missing or of another version than an extra asks for."""
    try:
        from packaging.requirements import Requirement

        asked = [Requirement(text) for text in requires("latentry") or ()]
    except (ImportError, PackageNotFoundError):
        yield "what latentry asks for is not known"
        return
    for one in asked:
        if one.marker is None or not one.marker.evaluate({"extra": extra}):
            continue
        try:
            found = version(one.name)
        except PackageNotFoundError:
            yield f"{one.name} is missing"
        else:
            if not one.specifier.contains(found, prereleases=True):
                yield f"{one.name} {found} is not {one.specifier}"
