"""AUTOMATIC1111's prompt syntax: the text and the weight of each part."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

from latentry.contracts import PromptSyntax

# Far beyond weights that give useful images; anything above is a typing error or an attack.
MAX_WEIGHT: Final = 10.0
_ROUND, _SQUARE = "(", "["
_DEFAULT_FACTOR: Final = {_ROUND: 1.1, _SQUARE: 1 / 1.1}
_OPENED_BY: Final = {")": _ROUND, "]": _SQUARE}
# Possessive quantifiers where a digit or a space could match in two ways: a failing match stays
# linear in the length of the prompt.
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
    """A piece of text with one weight."""

    text: str
    weight: float = 1.0


Segment: TypeAlias = tuple[Phrase, ...]


@dataclass(slots=True)
class _Bracket:
    """An opening bracket. Its factor is known when the closing bracket is read."""

    kind: str
    factor: float


@dataclass(frozen=True, slots=True)
class _Close:
    kind: str


def parse(prompt: str, syntax: PromptSyntax) -> tuple[Segment, ...]:
    """The segments between BREAKs, each a sequence of phrases. Every prompt is valid.

    Weights are as written, so possibly huge or infinite: see `is_bounded`. As in
    parse_prompt_attention of AUTOMATIC1111's modules/prompt_parser.py, except that BREAK also works
    inside brackets, and a weight that is not a number is text.
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
    """Whether every weight is between -MAX_WEIGHT and MAX_WEIGHT."""
    if syntax is PromptSyntax.PLAIN:
        return True
    return all(abs(weight) <= MAX_WEIGHT for text, weight in _weighted(prompt) if text)


def _merged(segment: list[Phrase]) -> Segment:
    """Adjacent phrases of equal weight joined, because a word may continue from one to the next."""
    nonempty = (phrase for phrase in segment if phrase.text)
    runs = groupby(nonempty, key=lambda phrase: phrase.weight)
    return tuple(Phrase("".join(phrase.text for phrase in run), weight) for weight, run in runs)


def _weighted(prompt: str) -> Iterator[tuple[str, float]]:
    """Pieces of text with the product of the factors of all brackets around them.

    Round and square brackets may overlap, and an unclosed one extends to the end. So each kind has
    its own stack of products, and every bracket costs one multiplication.
    """
    products = {kind: [1.0] for kind in _DEFAULT_FACTOR}
    for piece in _pieces(prompt):
        match piece:
            case _Bracket(kind, factor):
                products[kind].append(products[kind][-1] * factor)
            case _Close(kind):
                products[kind].pop()
            case text:
                yield text, products[_ROUND][-1] * products[_SQUARE][-1]


def _pieces(prompt: str) -> list[str | _Bracket | _Close]:
    """Text, and brackets with their factors; an unmatched closing bracket is text."""
    pieces: list[str | _Bracket | _Close] = []
    opened: dict[str, list[_Bracket]] = {kind: [] for kind in _DEFAULT_FACTOR}
    for match in _TOKEN.finditer(prompt):
        token, weight = match[0], match["weight"]
        kind = _ROUND if weight else _OPENED_BY.get(token, "")
        if token in _DEFAULT_FACTOR:
            bracket = _Bracket(token, _DEFAULT_FACTOR[token])
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
