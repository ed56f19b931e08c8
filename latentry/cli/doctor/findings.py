"""What a check found: a line that says how things are, and what to do where they are not well."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

import typer

from latentry.cli.exits import Exit


class State(StrEnum):
    """How bad it is: only a fault keeps the service from its work."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    state: State
    part: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.state:<8}{self.part:<10}{self.sentence}"


def ok(part: str, sentence: str) -> Finding:
    """It is well."""
    return Finding(State.OK, part, sentence)


def warning(part: str, sentence: str) -> Finding:
    """It works, and something should be changed."""
    return Finding(State.WARNING, part, sentence)


def fault(part: str, sentence: str) -> Finding:
    """It does not work."""
    return Finding(State.FAULT, part, sentence)


def tell(findings: Iterable[Finding], *, as_json: bool) -> Exit:
    """Print each as it comes; how the command ends."""
    code = Exit.DONE
    for one in findings:
        typer.echo(json.dumps(asdict(one)) if as_json else str(one))
        if one.state is State.FAULT:
            code = Exit.FAILED
    return code
