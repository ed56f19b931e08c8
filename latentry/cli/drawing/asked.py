"""The requests that a command line asks for: its prompts, and those of a file."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import typer

from latentry.client import Client
from latentry.client.fields import Fields, request_of
from latentry.contracts import Estimate, Job
from latentry.errors import InvalidRequest

STDIN: Final = "-"


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields of one request, and where it stands: its number, or the line of a file."""

    place: str
    fields: Mapping[str, Any]

    @property
    def prompt(self) -> str | None:
        """Its prompt."""
        return cast(str | None, self.fields.get("prompt"))

    @property
    def name(self) -> str:
        """What it is called by: its prompt, if it has one."""
        return self.prompt or self.place

    @property
    def pictures(self) -> int:
        """How many images it makes."""
        return int(self.fields.get("n") or 1)

    @property
    def options(self) -> Fields:
        """All fields but the prompt."""
        return cast(Fields, {name: one for name, one in self.fields.items() if name != "prompt"})

    def check(self) -> None:
        """Raises InvalidRequest for what the service would refuse at once."""
        try:
            if "dry_run" in self.fields:
                raise InvalidRequest("dry_run: It is an option of the command, --dry-run.")
            request_of(self.prompt, self.options)
        except InvalidRequest as error:
            if not self.place:
                raise
            raise InvalidRequest(f"{self.place}: {error.message}", fields=error.fields) from error

    def submit(self, client: Client) -> Job:
        """Submit it. Raises what Client.submit does."""
        return client.submit(self.prompt, **self.options)

    def estimate(self, client: Client) -> Estimate:
        """What it would cost. Raises what Client.estimate does."""
        return client.estimate(self.prompt, **self.options)


def requests_of(prompts: Sequence[str], file: str | None, common: Fields) -> list[Asked]:
    """All requests, checked; without a prompt the one of the options alone.

    Raises typer.BadParameter for a file that cannot be read, and InvalidRequest.
    """
    given = [({"prompt": prompt}, f"Prompt {i}") for i, prompt in enumerate(prompts, start=1)]
    found = [*given, *(_of_file(file) if file is not None else ())]
    if file is not None and not found:
        raise typer.BadParameter(f"--prompts {file}: it has no prompts.")
    if len(found) < 2:
        found = [(found[0][0] if found else {}, found[0][1] if file else "")]
    asked = [Asked(place, {**common, **own}) for own, place in found]
    for one in asked:
        one.check()
    return asked


def _of_file(file: str) -> Iterator[tuple[dict[str, Any], str]]:
    for number, line in enumerate(_lines(file), start=1):
        if text := line.strip():
            place = f"--prompts {file}, line {number}"
            yield (_object(text, place) if text.startswith("{") else {"prompt": text}), place


def _lines(file: str) -> list[str]:
    try:
        data = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
        # Not `splitlines`: JSON may have other separators of lines within its texts.
        return re.split(r"\r\n?|\n", data.decode("utf-8-sig"))
    except OSError as error:
        raise typer.BadParameter(
            f"--prompts {file}: it cannot be read ({error.strerror})."
        ) from None
    except UnicodeDecodeError:
        raise typer.BadParameter(f"--prompts {file}: it is not text in UTF-8.") from None


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"{place}: it begins with {{ but is no JSON object on one line ({error})."
        ) from error
    assert isinstance(found, dict), "it begins with a brace"
    return found
