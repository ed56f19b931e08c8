"""Where a model comes from: a folder or a file here, or a pinned commit on a hub."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

_HUB: Final = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)@(.*)", re.ASCII)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubPin:
    """One commit of a model repository: what it holds can never change."""

    repo: str
    commit: str

    def __str__(self) -> str:
        return f"{self.repo}@{self.commit}"


Source: TypeAlias = Path | HubPin


def parse_source(text: str) -> Source:
    """A path, or `owner/name@commit`. Raises ValueError with a sentence.

    A folder whose path looks like the latter is written with `./` before it.
    """
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
