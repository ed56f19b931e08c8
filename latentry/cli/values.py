"""What the values of options that are more than one word or number mean."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import typer

from latentry.contracts import IntermediateKind, WebhookEvent
from latentry.contracts.fields.inputs import PICTURE_PATTERN

_WEIGHTED: Final = re.compile(r"(?P<picture>.+):(?P<weight>[-+]?[.\d]+)")


def extend(sides: tuple[int, int, int, int] | None) -> dict[str, int] | None:
    """Left, top, right and bottom by name."""
    names = ("left", "top", "right", "bottom")
    return None if sides is None else dict(zip(names, sides, strict=True))


def hires(pairs: list[str] | None) -> dict[str, Any] | None:
    """A second pass; its numbers are numbers. Raises typer.BadParameter."""
    given = labels("--hires", pairs)
    return given and {name: _number(value) for name, value in given.items()}


def loras(given: list[str] | None) -> list[dict[str, Any]] | None:
    """LoRAs by id, with their weights after colons; these are the request's to check."""
    if given is None:
        return None
    names = ("id", "weight", "text_encoder_weight")
    found = []
    for one in given:
        name, *weights = one.split(":")
        if len(weights) > 2:
            raise typer.BadParameter(f"--lora {one}: it takes an id and two weights at most.")
        values = (name, *(_real(weight) for weight in weights))
        found.append(dict(zip(names, values, strict=False)))
    return found


def controls(given: list[str] | None) -> list[dict[str, Any]] | None:
    """ControlNets by id, each with its picture and its weight after a colon, if there is a number.

    Raises typer.BadParameter for a path of no file.
    """
    if given is None:
        return None
    found = []
    for one in given:
        name, is_named, rest = one.partition("=")
        if not is_named:
            raise typer.BadParameter(f"--control {one}: it takes id=PICTURE or id=PICTURE:WEIGHT.")
        path, _, weight = rest.rpartition(":")
        number = _real(weight) if path else ""
        has_weight = isinstance(number, float)
        named = picture("control", path if has_weight else rest)
        control: dict[str, Any] = {"id": name, "image": named}
        found.append(control | ({"weight": number} if has_weight else {}))
    return found


def image_prompts(given: list[str] | None) -> list[dict[str, Any]] | None:
    """Pictures by the id of their IP-Adapter, with a weight after the last colon.

    Raises typer.BadParameter.
    """
    if given is None:
        return None
    found: list[dict[str, Any]] = []
    for one in given:
        name, equals, named = one.partition("=")
        if not equals:
            raise typer.BadParameter(f"--image-prompt {one}: it takes ID=PICTURE:WEIGHT.")
        # A URL's port is no weight, nor is a path's own end.
        weighted = None if Path(named).is_file() else _WEIGHTED.fullmatch(named)
        shown = picture("image-prompt", weighted["picture"] if weighted else named)
        found.append({"id": name, "image": shown})
        if weighted:
            found[-1]["weight"] = _real(weighted["weight"])
    return found


def embeddings(given: list[str] | None) -> list[dict[str, Any]] | None:
    """Embeddings by id."""
    return None if given is None else [{"id": name} for name in given]


def _real(text: str) -> float | str:
    number = _number(text)
    return number if isinstance(number, str) else float(number)


def _number(text: str) -> float | str:
    """A number where it is one; what it has to be is the request's to say."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


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


def picture(name: str, given: str | None) -> str | Path | None:
    """A reference as it is, or the path of a file. Raises typer.BadParameter if there is none."""
    if given is None or re.match(PICTURE_PATTERN, given):
        return given
    if not Path(given).is_file():
        raise typer.BadParameter(f"--{name} {given}: there is no such file.")
    return Path(given)


def webhook(url: str | None, events: list[WebhookEvent] | None) -> dict[str, Any] | None:
    """A target with its events. Raises typer.BadParameter for events without one."""
    if url is None and events:
        raise typer.BadParameter("--webhook-event needs --webhook.")
    if url is None:
        return None
    return {"url": url, "events": events} if events else {"url": url}
