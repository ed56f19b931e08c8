"""Rules on prompts: which words and patterns a text may not have, and what follows if it does."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final, Protocol

from latentry.rules.moderation.folding import readings
from latentry.rules.moderation.scope import Scope

_GAP: Final = "·"  # stands where an exception stood; no word, and in no pattern's way


class PromptAction(StrEnum):
    """What a rule does to a request whose prompt it finds."""

    REFUSE = "refuse"
    APPEND = "append"  # to the negative prompt
    FLAG = "flag"


class Pattern(Protocol):
    """A compiled regular expression, which takes time in proportion to the text."""

    def search(self, text: str, /) -> object:
        """Something, if it is found."""


class Phrases:
    """Words, and sequences of words, by their first one."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._by_first: dict[str, list[list[str]]] = {}
        for text in texts:
            for reading in readings(text):
                words = reading.split()
                alike = self._by_first.setdefault(words[0], []) if words else []
                if words not in alike:
                    alike.append(words)
        for alike in self._by_first.values():
            alike.sort(key=len, reverse=True)

    def __bool__(self) -> bool:
        return bool(self._by_first)

    def at(self, words: Sequence[str], place: int) -> int:
        """The length of the longest one that begins here; 0 if none does."""
        for phrase in self._by_first.get(words[place], ()):
            if words[place : place + len(phrase)] == phrase:
                return len(phrase)
        return 0

    def found_in(self, words: Sequence[str]) -> bool:
        """Whether any of them is there."""
        return any(self.at(words, place) for place in range(len(words)))

    def cut_out(self, words: Sequence[str]) -> list[str]:
        """The words with a gap in the place of each."""
        left, place = list[str](), 0
        while place < len(words):
            length = self.at(words, place)
            left.append(_GAP if length else words[place])
            place += length or 1
        return left


@dataclass(frozen=True, eq=False)
class PromptRule:
    """One rule. It finds what any reading of a text has, besides its exceptions.

    reason: what the caller is told. reads_negative: it reads negative prompts too.
    """

    name: str
    action: PromptAction
    reason: str
    words: Sequence[str] = ()
    patterns: Sequence[Pattern] = ()
    exceptions: Sequence[str] = ()
    negative_prompt: str = ""
    reads_negative: bool = False
    scope: Scope = field(default_factory=Scope)

    def finds(self, reading: str) -> bool:
        """Whether a reading has what it is about."""
        words = reading.split()
        if self._exceptions:
            words = self._exceptions.cut_out(words)
        if self._phrases.found_in(words):
            return True
        text = " ".join(words)
        return any(pattern.search(text) for pattern in self.patterns)

    @cached_property
    def _phrases(self) -> Phrases:
        return Phrases(self.words)

    @cached_property
    def _exceptions(self) -> Phrases:
        return Phrases(self.exceptions)
