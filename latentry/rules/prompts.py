"""AUTOMATIC1111's prompt syntax: what is said, and how much each part of it weighs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

from latentry.contracts import PromptSyntax

# Far outside what a text encoder still makes sense of; what lies beyond is a slip, or an attack.
MAX_WEIGHT: Final = 10.0
_ROUND, _SQUARE = "(", "["
_USUAL: Final = {_ROUND: 1.1, _SQUARE: 1 / 1.1}
_OPENED_BY: Final = {")": _ROUND, "]": _SQUARE}
# Possessive where a digit or a space could be matched in two ways: a failed match stays linear.
_TOKEN: Final = re.compile(
    r"""
    \\(?P<escaped>[()\[\]\\]?)
    | :\s*+(?P<weight>[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++))\s*+\)
    | [()\[\]:]
    | [^\\()\[\]:]+
    """,
    re.VERBOSE,
)
_BREAK: Final = re.compile(r"\bBREAK\b")


@dataclass(frozen=True, slots=True)
class Phrase:
    """Some text of one weight."""

    text: str
    weight: float = 1.0


Segment: TypeAlias = tuple[Phrase, ...]


@dataclass(slots=True)
class _Bracket:
    """An opened bracket; how much it multiplies is known where it closes."""

    kind: str
    factor: float


@dataclass(frozen=True, slots=True)
class _Close:
    kind: str


def parse(prompt: str, syntax: PromptSyntax) -> tuple[Segment, ...]:
    """The segments between BREAKs, each a run of phrases; every prompt means something.

    Weights are whatever was written, so not always sensible or finite: `is_bounded` tells. As in
    parse_prompt_attention of AUTOMATIC1111's modules/prompt_parser.py, but BREAK breaks inside
    brackets too, and what is no number is text.
    """
    if syntax is PromptSyntax.PLAIN:
        return ((Phrase(prompt),),)
    segments: list[list[Phrase]] = [[]]
    for text, weight in _weighted(prompt):
        first, *others = _BREAK.split(text)
        segments[-1].append(Phrase(first, weight))
        segments += [[Phrase(part, weight)] for part in others]
    return tuple(_merged(segment) for segment in segments)


def is_bounded(prompt: str, syntax: PromptSyntax) -> bool:
    """Whether every weight is a number of at most MAX_WEIGHT, above or below zero."""
    if syntax is PromptSyntax.PLAIN:
        return True
    return all(abs(weight) <= MAX_WEIGHT for text, weight in _weighted(prompt) if text)


def _merged(segment: list[Phrase]) -> Segment:
    """Neighbours of equal weight as one phrase, because a word may run from one into the other."""
    said = (phrase for phrase in segment if phrase.text)
    runs = groupby(said, key=lambda phrase: phrase.weight)
    return tuple(Phrase("".join(phrase.text for phrase in run), weight) for weight, run in runs)


def _weighted(prompt: str) -> Iterator[tuple[str, float]]:
    """Pieces of text with the product of all brackets around them.

    Round and square brackets may cross, and one that is never closed reaches to the end. So each
    kind keeps its own pile of products, on which every bracket costs one multiplication.
    """
    products = {kind: [1.0] for kind in _USUAL}
    for piece in _pieces(prompt):
        match piece:
            case _Bracket(kind, factor):
                products[kind].append(products[kind][-1] * factor)
            case _Close(kind):
                products[kind].pop()
            case text:
                yield text, products[_ROUND][-1] * products[_SQUARE][-1]


def _pieces(prompt: str) -> list[str | _Bracket | _Close]:
    """Text, and brackets that know their factors; a closing one that nothing opened is text."""
    pieces: list[str | _Bracket | _Close] = []
    opened: dict[str, list[_Bracket]] = {kind: [] for kind in _USUAL}
    for match in _TOKEN.finditer(prompt):
        token, weight = match[0], match["weight"]
        kind = _ROUND if weight else _OPENED_BY.get(token, "")
        if token in _USUAL:
            bracket = _Bracket(token, _USUAL[token])
            opened[token].append(bracket)
            pieces.append(bracket)
        elif kind and opened[kind]:
            bracket = opened[kind].pop()
            bracket.factor = float(weight) if weight else bracket.factor
            pieces.append(_Close(kind))
        else:
            escaped: str | None = match["escaped"]
            pieces.append(token if escaped is None else escaped)
    return pieces
