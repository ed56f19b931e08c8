"""Rules on prompts: which words and patterns a text may not have, and what follows if it does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final, Protocol

from latentry.rules.moderation.phrases import Phrases
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
        if self.exceptions:
            words = self._exceptions.cut_out(words, _GAP)
        text = " ".join(words)
        return bool(self._phrases.owners(words)) or any(one.search(text) for one in self.patterns)

    @cached_property
    def _phrases(self) -> Phrases[bool]:
        return Phrases((word, True) for word in self.words)

    @cached_property
    def _exceptions(self) -> Phrases[bool]:
        return Phrases((word, True) for word in self.exceptions)
