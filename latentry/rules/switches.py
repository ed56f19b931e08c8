"""The parts of a prompt that depend on the UNet call: `[from:to:when]` and `[a|b]`, read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

_CLOSING: Final = {"[": "]", "(": ")"}
_PIECE: Final = re.compile(r"\\.|[^\\\[\]():|]++|[\\\[\]():|]")
_WHEN: Final = re.compile(
    r"\s*+([+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)\s*+"
)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """`[before:after:when]`, or `[after:when]`; `when` as it is written."""

    before: "Pieces"
    after: "Pieces"
    when: str


@dataclass(frozen=True, slots=True)
class Alternating:
    """`[a|b|c]`."""

    options: tuple["Pieces", ...]


Pieces: TypeAlias = tuple[str | Scheduled | Alternating, ...]


def parse(prompt: str) -> Pieces:
    """The text of a prompt and its switches; brackets that only weigh are text.

    Every prompt is valid. By the grammar of AUTOMATIC1111's modules/prompt_parser.py: a bracket
    that cannot be read is text, and what stands inside is read; a bar that belongs to no `[a|b]`,
    or a backslash before nothing, makes the whole prompt text. Linear in its length.
    """
    whole = _Group()
    opened = [whole]
    for piece in _PIECE.findall(prompt):
        if piece in _CLOSING:
            opened.append(_Group(piece))
        elif piece in (":", "|"):
            opened[-1].separate(piece)
        elif piece not in ("]", ")"):
            opened[-1].add(piece)
            whole.is_text |= piece == "\\"
        elif piece == _CLOSING.get(opened[-1].opening):
            group = opened.pop()
            group.close_into(opened[-1])
        else:
            _flatten(opened)
            whole.add(piece)
    _flatten(opened)
    result = _Group()
    whole.flatten_into(result)
    return (prompt,) if result.is_text else tuple(result.fields[0])


def switches(pieces: Pieces) -> Iterator[Scheduled | Alternating]:
    """All of them, at whatever depth."""
    unvisited = [pieces]
    while unvisited:
        for piece in unvisited.pop():
            if isinstance(piece, Scheduled):
                unvisited += [piece.before, piece.after]
                yield piece
            elif isinstance(piece, Alternating):
                unvisited += piece.options
                yield piece


@dataclass(slots=True)
class _Group:
    """A bracket that is open, or the whole prompt: its pieces, between colons or bars.

    is_broken: something in it belongs to no bracket. is_text: as it is in the whole prompt.
    """

    opening: str = ""
    separators: str = ""
    fields: list[list[str | Scheduled | Alternating]] = field(default_factory=lambda: [[]])
    is_broken: bool = False
    is_text: bool = False

    def add(self, *pieces: str | Scheduled | Alternating) -> None:
        """Append to the last field; texts are joined, so that flattening stays cheap."""
        into = self.fields[-1]
        for piece in pieces:
            if piece == "":
                continue
            if into and isinstance(piece, str) and isinstance(into[-1], str):
                into[-1] += piece
            else:
                into.append(piece)

    def separate(self, separator: str) -> None:
        """Begin the next field."""
        self.separators += separator
        self.fields.append([])

    def close_into(self, outer: "_Group") -> None:
        """Become a switch; or else text, which may be an emphasis or unreadable."""
        switch = None if self.is_broken or self.opening == "(" else self._switch()
        if switch is not None:
            outer.add(switch)
            return
        self.flatten_into(outer)
        outer.add(_CLOSING[self.opening])
        emphases = ("", ":") if self.opening == "(" else ("",)
        outer.is_broken |= self.is_broken or self.separators not in emphases

    def flatten_into(self, outer: "_Group") -> None:
        """Become text around the switches inside."""
        outer.add(self.opening, *self.fields[0])
        for separator, pieces in zip(self.separators, self.fields[1:], strict=True):
            outer.add(separator, *pieces)
        outer.is_text |= self.is_text or "|" in self.separators

    def _switch(self) -> Scheduled | Alternating | None:
        kinds, fields = set(self.separators), [tuple(pieces) for pieces in self.fields]
        if kinds == {"|"}:
            return Alternating(tuple(fields))
        is_text = all(isinstance(piece, str) for piece in fields[-1])
        when = _WHEN.fullmatch("".join(map(str, fields[-1]))) if is_text else None
        if when and kinds == {":"} and len(fields) <= 3:
            return Scheduled(fields[0] if len(fields) == 3 else (), fields[-2], when[1])
        return None


def _flatten(opened: list[_Group]) -> None:
    """Brackets that nothing closes are text of the whole prompt."""
    for group in opened[1:]:
        group.flatten_into(opened[0])
    del opened[1:]
