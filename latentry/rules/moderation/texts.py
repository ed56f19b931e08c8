"""The texts that a request's images are drawn from, for rules to read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from unicodedata import normalize

from latentry.contracts import Adapter, PromptSyntax, ResolvedRequest
from latentry.errors import InvalidPrompt
from latentry.rules import prompts
from latentry.rules.passes import passes
from latentry.rules.prompt_rows import leads_away, written_rows
from latentry.rules.sequences.frames import keyframe_places, keyframes

# Of all texts together. A prompt of the greatest length with the most texts takes two thirds.
MAX_CHARS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Text:
    """What one field of a request says; `pointer`: a JSON pointer to it.

    is_negative: what is not to be drawn.
    """

    pointer: str
    text: str
    is_negative: bool = False


def texts(request: ResolvedRequest, adapters: tuple[Adapter, ...] = ()) -> tuple[Text, ...]:
    """Each text once: of all keyframes, passes, calls and parts, and of the LoRAs and their words.

    What the syntax of a prompt adds is not there: brackets, weights, schedules, AND. Raises
    InvalidPrompt for more than MAX_CHARS characters.
    """
    found: dict[Text, None] = {}
    length = 0
    for one in _all(request, adapters):
        if one not in found:
            found[one] = None
            length += len(normalize("NFKD", one.text))  # one sign may become eighteen
        if length > MAX_CHARS:
            why = f"With its schedules it is more than {MAX_CHARS:,} characters to read."
            raise InvalidPrompt(why, fields={one.pointer: why})
    return tuple(found)


def _all(request: ResolvedRequest, adapters: tuple[Adapter, ...]) -> Iterator[Text]:
    way = request.interpolation
    places = [""] if way is None else [f"/{place}" for place in keyframe_places(way)]
    for place, keyframe in zip(places, keyframes(request), strict=True):
        for one in passes(keyframe):
            yield from _of_pass(place, one)
    known = {adapter.sha256: adapter.trigger_words for adapter in adapters}
    for number, lora in enumerate(request.loras):
        for text in (lora.id, *known.get(lora.sha256, ())):
            yield Text(f"{places[0]}/loras/{number}/id", text)


def _of_pass(place: str, one: ResolvedRequest) -> Iterator[Text]:
    is_reversed = bool(one.negative_rows) and not leads_away(one)
    for row in written_rows(one):
        for text in row.distinct:
            name = "negative_prompt" if row.is_negative else "prompt"
            for plain in _plain(text, one.prompt_syntax):
                yield Text(f"{place}/{name}", plain, row.is_negative)
            if row.is_negative:  # not to be drawn, and that by a weight below 0: to be drawn
                for plain in _plain(text, one.prompt_syntax, below_zero=not is_reversed):
                    yield Text(f"{place}/{name}", plain)


def _plain(text: str, syntax: PromptSyntax, *, below_zero: bool = False) -> Iterator[str]:
    """The text without its brackets: with what they divide as one word, and as several."""
    segments = [
        [phrase.text for phrase in segment if not below_zero or phrase.weight < 0]
        for segment in prompts.parse(text, syntax)
    ]
    for between in ("", " "):
        joined = " ".join(between.join(segment) for segment in segments)
        if joined.strip():
            yield joined
