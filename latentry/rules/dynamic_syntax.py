"""The grammar of dynamic prompts, in one pass from left to right."""

import re
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from latentry.errors import InvalidPrompt

MAX_NESTING: Final = 16
MAX_WEIGHT: Final = 1e6

# What dynamicprompts takes for more than text, and this does not.
_REFUSED: Final = {
    r"${": "variables, `${…}`, are",
    "%{": "wrappers, `%{…}`, are",
    "/*": "comments, `/* … */`, are",
}
_TOKEN: Final = re.compile(r"\$\{|%\{|/\*|__|[{}|]|(?:(?!\$\{|%\{|/\*|__)[^{}|])+")
_COMMENT: Final = re.compile(r"(?:^|(?<=\s))(?:#|//)(?=\s|$)", re.MULTILINE)
_NAME: Final = re.compile(r"__([~@!]?)((?:(?!__)[^${}()#|~@!])+)__")
_SAMPLER: Final = re.compile(r"\s*([~@!])")
_COUNT: Final = re.compile(r"\s*(\d{1,4})?(-)?(\d{1,4})?\$\$(?:([^${}]+)\$\$)?")
_WEIGHT: Final = re.compile(r"\s*(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})::")
_SPACE: Final = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`__name__`: one line of a file; `*` and `?` of several files."""

    name: str


@dataclass(frozen=True, slots=True)
class Option:
    """One variant, and how likely it is beside the others."""

    weight: float
    sequel: "Sequel"


@dataclass(frozen=True, slots=True)
class Variants:
    """`{least-most$$separator$$a|b}`."""

    options: tuple[Option, ...]
    least: int
    most: int
    separator: str


Sequel: TypeAlias = tuple[str | Wildcard | Variants, ...]


def parse(text: str) -> Sequel:
    """Text, wildcards and variants in order. Raises InvalidPrompt."""
    if _COMMENT.search(text):
        _refuse("comments, `# …` and `// …`, are")
    return _Parser(text).sequel(0)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def sequel(self, nesting: int) -> Sequel:
        """Up to the end, or inside variants up to `|` or `}`, which is left for the caller."""
        parts: list[str | Wildcard | Variants] = []
        while match := _TOKEN.match(self._text, self._at):
            sign = match[0]
            if sign in _REFUSED:
                _refuse(_REFUSED[sign])
            if nesting and sign in "|}":
                break
            if sign == "__":
                parts.append(self._wildcard())
                continue
            self._at = match.end()
            parts.append(self._variants(nesting + 1) if sign == "{" else sign)
        return tuple(parts)

    def _wildcard(self) -> Wildcard:
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise InvalidPrompt(
                "“__” encloses no name of a wildcard; parameters and variants in names are not"
                " supported."
            )
        _check_sampler(match[1])
        self._at = match.end()
        return Wildcard(match[2].strip().strip("/"))

    def _variants(self, nesting: int) -> Variants:
        if nesting > MAX_NESTING:
            raise InvalidPrompt(f"Variants are nested deeper than {MAX_NESTING}.")
        if match := _SAMPLER.match(self._text, self._at):
            _check_sampler(match[1])
            self._at = match.end()
        count = self._count()
        options = []
        while True:
            options.append(self._option(nesting))
            closing = self._text[self._at : self._at + 1]
            self._at += 1
            if closing == "}":
                break
            if not closing:
                raise InvalidPrompt("A “{” is never closed.")
        if not any(option.weight for option in options):
            raise InvalidPrompt("All weights of a choice are 0.")
        least, most, separator = count
        most = len(options) if most is None else most
        return Variants(tuple(options), min(least, most), max(least, most), separator)

    def _count(self) -> tuple[int, int | None, str]:
        """How many are chosen, from and to, and what stands between them."""
        match = _COUNT.match(self._text, self._at)
        if match is None or not (match[1] or match[3]):
            return 1, 1, ","
        self._at = match.end()
        low, dash, high, separator = match.groups()
        least = int(low or (1 if dash else high))
        most = int(high or least) if high or not dash else None
        return least, most, separator or ","

    def _option(self, nesting: int) -> Option:
        weight = 1.0
        if match := _WEIGHT.match(self._text, self._at):
            weight = min(float(match[1]), MAX_WEIGHT)
            self._at = match.end()
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at
        return Option(weight, self.sequel(nesting))


def _check_sampler(sign: str) -> None:
    if sign in ("@", "!"):
        _refuse(f"samplers other than random, `{sign}`, are")


def _refuse(what: str) -> NoReturn:
    raise InvalidPrompt(f"In prompt_syntax dynamic {what} not supported.")
