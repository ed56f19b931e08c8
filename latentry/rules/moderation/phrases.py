"""Words, and words in a row, found in a text whatever their number."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from latentry.rules.moderation.folding import readings

T = TypeVar("T", bound=Hashable)


class Phrases(Generic[T]):
    """Phrases by their first word, each with its owners."""

    def __init__(self, phrases: Iterable[tuple[str, T]]) -> None:
        found: dict[str, dict[tuple[str, ...], set[T]]] = {}
        for text, owner in phrases:
            for reading in readings(text):
                if words := tuple(reading.split()):
                    found.setdefault(words[0], {}).setdefault(words, set()).add(owner)
        self._by_first = {
            first: sorted(alike.items(), key=lambda one: -len(one[0]))
            for first, alike in found.items()
        }

    def owners(self, words: Sequence[str]) -> set[T]:
        """Whose phrases are there."""
        found = set[T]()
        for place, word in enumerate(words):
            for phrase, its in self._by_first.get(word, ()):
                if tuple(words[place : place + len(phrase)]) == phrase:
                    found |= its
        return found

    def cut_out(self, words: Sequence[str], gap: str) -> list[str]:
        """The words with a gap in the place of each phrase, of several the longest."""
        left, place = list[str](), 0
        while place < len(words):
            length = self._length(words, place)
            left.append(gap if length else words[place])
            place += length or 1
        return left

    def _length(self, words: Sequence[str], place: int) -> int:
        for phrase, _ in self._by_first.get(words[place], ()):
            if tuple(words[place : place + len(phrase)]) == phrase:
                return len(phrase)
        return 0
