"""What the values of options that are more than one word or number mean."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, overload

import typer

from latentry.contracts import IntermediateKind, WebhookEvent
from latentry.contracts.fields.inputs import PICTURE_PATTERN

_LONGEST_NAME: Final = 300


@dataclass(frozen=True, slots=True)
class Adapters:
    """An option whose values name an adapter each: ID, then =PICTURE, then weights after colons.

    weights: the fields that these are. has_picture: whether the adapter is shown one.
    """

    option: str
    weights: tuple[str, ...] = ()
    has_picture: bool = False

    @property
    def syntax(self) -> str:
        """How a value is written."""
        return "ID" + "=PICTURE" * self.has_picture + ":WEIGHT" * bool(self.weights)

    def read(self, given: list[str] | None) -> list[dict[str, Any]] | None:
        """The entries of the field; what they have to be is the request's to check.

        Raises typer.BadParameter for another syntax, and for a path of no file.
        """
        return None if given is None else [self._entry(one) for one in given]

    def _entry(self, text: str) -> dict[str, Any]:
        if not self.has_picture:
            return self._weighted(*text.split(":"))
        name, equals, shown = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"--{self.option} {text}: it takes {self.syntax}.")
        path, _, weight = shown.rpartition(":")
        # The last colon may be a path's own, or of a URL.
        is_weighted = path and _is_number(weight) and not Path(shown).is_file()
        entry = self._weighted(name, *([weight] if is_weighted else []))
        return entry | {"image": picture(f"--{self.option}", path if is_weighted else shown)}

    def _weighted(self, name: str, *weights: str) -> dict[str, Any]:
        if len(weights) > len(self.weights):
            raise typer.BadParameter(
                f"--{self.option} {':'.join((name, *weights))}: it takes an id and"
                f" {len(self.weights) or 'no'} weights at most."
            )
        numbers = (float(one) if _is_number(one) else one for one in weights)
        return {"id": name, **dict(zip(self.weights, numbers, strict=False))}


LORAS: Final = Adapters("lora", ("weight", "text_encoder_weight"))
EMBEDDINGS: Final = Adapters("embedding")
CONTROLS: Final = Adapters("control", ("weight",), has_picture=True)
IMAGE_PROMPTS: Final = Adapters("image-prompt", ("weight",), has_picture=True)


def extend(sides: tuple[int, int, int, int] | None) -> dict[str, int] | None:
    """Left, top, right and bottom by name."""
    names = ("left", "top", "right", "bottom")
    return None if sides is None else dict(zip(names, sides, strict=True))


def hires(pairs: list[str] | None) -> dict[str, Any] | None:
    """A second pass; its numbers are numbers. Raises typer.BadParameter."""
    given = labels("--hires", pairs)
    return given and {name: _number(value) for name, value in given.items()}


def labels(option: str, pairs: list[str] | None) -> dict[str, str] | None:
    """What KEY=VALUE pairs of this option say. Raises typer.BadParameter."""
    if pairs is None:
        return None
    if not all("=" in pair for pair in pairs):
        raise typer.BadParameter(f"{option} takes KEY=VALUE.")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def intermediates(every: int | None, kinds: list[IntermediateKind] | None) -> dict[str, Any] | None:
    """Which steps are stored, and how. Raises typer.BadParameter for kinds without a number."""
    if every is None and kinds:
        raise typer.BadParameter("--intermediates-kind needs --intermediates-every.")
    if every is None:
        return None
    return {"every": every, "kinds": kinds} if kinds else {"every": every}


@overload
def picture(of: str, given: str) -> str | Path: ...
@overload
def picture(of: str, given: None) -> None: ...
@overload
def picture(of: str, given: str | None) -> str | Path | None: ...
def picture(of: str, given: str | None) -> str | Path | None:
    """A reference as it is, or the path of a file. Raises typer.BadParameter if there is none.

    of: the option or the argument, as --help has it.
    """
    if given is None or re.match(PICTURE_PATTERN, given):
        return given
    if not os.path.isfile(given):
        short = given if len(given) <= _LONGEST_NAME else f"{given[:20]}…"  # base64, by mistake
        raise typer.BadParameter(f"{of} {short}: there is no such file.")
    return Path(given)


def webhook(url: str | None, events: list[WebhookEvent] | None) -> dict[str, Any] | None:
    """A target with its events. Raises typer.BadParameter for events without one."""
    if url is None and events:
        raise typer.BadParameter("--webhook-event needs --webhook.")
    if url is None:
        return None
    return {"url": url, "events": events} if events else {"url": url}


def _is_number(text: str) -> bool:
    return not isinstance(_number(text), str)


def _number(text: str) -> float | str:
    """A number where it is one; what it has to be is the request's to say."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
