"""Where a model comes from: a local folder or file, a pinned commit on a hub, or a simulation."""

import math
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self, TypeAlias

from latentry.contracts.upscales import LANCZOS, UPSCALER_ID
from latentry.local_path import local_path

_HUB: Final = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)@(.*)", re.ASCII)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SIMULATED: Final = "simulated:"


@dataclass(frozen=True, slots=True)
class HubPin:
    """One commit of a model repository on a hub: its content cannot change."""

    repo: str
    commit: str

    def __str__(self) -> str:
        return f"{self.repo}@{self.commit}"


@dataclass(frozen=True, slots=True)
class Simulation:
    """No model: pictures of one colour, after UNet calls that only wait.

    For trying a deployment, its queues and its alarms without a GPU. Times are in milliseconds: a
    UNet call takes `call_ms`, and `row_ms` more for each row of 512 × 512 pixels; decoding a
    picture of that size takes `picture_ms`.
    """

    call_ms: float = 20.0
    row_ms: float = 5.0
    picture_ms: float = 20.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `call_ms=20:row_ms=5`; what is left out keeps its default. Raises ValueError."""
        values = dict(part.partition("=")[::2] for part in text.split(":") if part)
        known = [field.name for field in fields(cls)]
        try:
            source = cls(**{name: float(value) for name, value in values.items()})
        except (TypeError, ValueError):
            raise ValueError(
                f"{text!r} must give numbers for {', '.join(known)}, as in call_ms=20:row_ms=5"
            ) from None
        if not all(0 < getattr(source, name) < math.inf for name in known):
            raise ValueError(f"{text!r} must give numbers above 0")
        return source


# Where the files of a real model are.
ModelLocation: TypeAlias = Path | HubPin
Source: TypeAlias = ModelLocation | Simulation


@dataclass(frozen=True, slots=True)
class AdapterSource:
    """A folder of adapters, or one adapter under an id of its own."""

    path: Path
    id: str = ""


def parse_adapters(text: str) -> tuple[AdapterSource, ...]:
    """Read comma-separated folders and `id=path` pairs. Raises ValueError with a sentence."""
    found = []
    for part in (one.strip() for one in text.split(",")):
        name, equals, path = part.partition("=")
        if equals and not (name.strip() and path.strip()):
            raise ValueError(f"{part!r} is neither a folder nor an id=path pair")
        if equals:
            found.append(AdapterSource(local_path(path.strip()), name.strip()))
        elif part:
            found.append(AdapterSource(local_path(part)))
    return tuple(found)


def parse_upscalers(text: str) -> list[tuple[str, Path]]:
    """Read comma-separated paths and `id=path` pairs. Raises ValueError with a sentence."""
    found = [(source.id, source.path) for source in parse_adapters(text)]
    named = [id for id, _ in found if id]
    if wrong := [id for id in named if not re.fullmatch(UPSCALER_ID, id)]:
        raise ValueError(f"{wrong[0]!r} is no id: letters, digits and . _ + ( ) - are allowed")
    if len(set(named)) < len(named) or LANCZOS in named:
        raise ValueError(f"an id appears twice, or is {LANCZOS}, which is always there")
    return found


def parse_source(text: str) -> Source:
    """Read a path, `owner/name@commit`, or `simulated:`. Raises ValueError with a sentence.

    A path that looks like one of the latter two is written with `./` before it.
    """
    if text.startswith(_SIMULATED):
        return Simulation.parse(text.removeprefix(_SIMULATED))
    match = _HUB.fullmatch(text)
    if match is None:
        return local_path(text)
    repo, commit = match.groups()
    if not _COMMIT.fullmatch(commit):
        raise ValueError(
            f"{text!r} must end in the 40 hexadecimal digits of a commit: "
            "what a branch or a tag means can change, and with it what is loaded"
        )
    return HubPin(repo, commit)
