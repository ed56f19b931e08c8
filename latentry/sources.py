"""Where a model comes from: a folder or a file here, a pinned commit on a hub, or nowhere."""

import math
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self, TypeAlias

_HUB: Final = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)@(.*)", re.ASCII)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SIMULATED: Final = "simulated:"


@dataclass(frozen=True, slots=True)
class HubPin:
    """One commit of a model repository: what it holds can never change."""

    repo: str
    commit: str

    def __str__(self) -> str:
        return f"{self.repo}@{self.commit}"


@dataclass(frozen=True, slots=True)
class Simulation:
    """No model at all: pictures of one plain colour, after calls that only take their time.

    For trying a deployment, its queues and its alarms without a GPU. A call takes `call_ms`, and
    `row_ms` for each row of 512 × 512 pixels; a picture of that size takes `picture_ms`.
    """

    call_ms: float = 20.0
    row_ms: float = 5.0
    picture_ms: float = 20.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """`call_ms=20:row_ms=5`, whatever is left out being as above. Raises ValueError."""
        said = dict(part.partition("=")[::2] for part in text.split(":") if part)
        known = [one.name for one in fields(cls)]
        try:
            source = cls(**{name: float(value) for name, value in said.items()})
        except (TypeError, ValueError):
            raise ValueError(
                f"{text!r} must give numbers for {', '.join(known)}, as in call_ms=20:row_ms=5"
            ) from None
        if not all(0 < getattr(source, name) < math.inf for name in known):
            raise ValueError(f"{text!r} must give numbers above 0")
        return source


Stored: TypeAlias = Path | HubPin
Source: TypeAlias = Stored | Simulation


def parse_source(text: str) -> Source:
    """A path, `owner/name@commit`, or `simulated:`. Raises ValueError with a sentence.

    A folder whose path looks like one of the latter is written with `./` before it.
    """
    if text.startswith(_SIMULATED):
        return Simulation.parse(text.removeprefix(_SIMULATED))
    match = _HUB.fullmatch(text)
    if match is None:
        return Path(text)
    repo, commit = match.groups()
    if not _COMMIT.fullmatch(commit):
        raise ValueError(
            f"{text!r} must end in the 40 hexadecimal digits of a commit: "
            "what a branch or a tag means can change, and with it what is loaded"
        )
    return HubPin(repo, commit)
