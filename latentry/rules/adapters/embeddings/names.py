"""Where a text names embeddings: bare as for AUTOMATIC1111, `<name>`, or `embedding:name`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias
from unicodedata import normalize

_PREFIX: Final = "embedding:"
# Possessive: a bracket that nothing closes is looked at once.
_MARK: Final = re.compile(rf"<(?:{_PREFIX})?([^<>:]++)>|\b{_PREFIX}", re.IGNORECASE)
# What ComfyUI drops behind a name.
_SUFFIX: Final = re.compile(r"\.(?:safetensors|pt|bin)\b", re.IGNORECASE)
# CLIP's words: its tokenizer takes each apart by itself, in lower case.
_WORD: Final = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\w\s]|_)+", re.IGNORECASE)
_CACHED: Final = 32

Words: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """An embedding in the place of its name. is_marked: in brackets, or behind `embedding:`."""

    id: str
    is_marked: bool = False


def pieces(text: str, ids: tuple[str, ...]) -> tuple[str | Name, ...]:
    """A text with the names of embeddings taken out; others than these `ids` are text.

    Names are matched word by word, whatever their case and blanks, the longest first: as
    find_embedding_at_position of AUTOMATIC1111's modules/textual_inversion does by CLIP's tokens,
    only that a name never begins inside of a word. Of two ids that differ in case alone the one as
    it is written counts, or else the first.
    """
    if not ids:
        return (text,) if text else ()
    text, index = normalize("NFC", text), _index(ids)
    found: list[str | Name] = []
    done = 0
    for begin, end, name in index.places(text):
        found += [text[done:begin], name]
        done = end
    found.append(text[done:])
    return tuple(piece for piece in found if piece != "")


_Place: TypeAlias = tuple[int, int, Name]  # where it begins and ends


@dataclass(frozen=True, slots=True)
class _Index:
    """Ids by their words, those with the same words together, and by what stands in brackets.

    lengths: how many words the names have that begin with one, the longest first. longest: of all.
    """

    by_words: Mapping[Words, Sequence[str]]
    by_name: Mapping[str, Sequence[str]]
    lengths: Mapping[str, Sequence[int]]
    longest: int

    def places(self, text: str) -> Iterator[_Place]:
        """Where the names stand, in order."""
        done = 0
        for mark in _MARK.finditer(text):
            if mark.start() >= done and (known := self._marked(text, mark)):
                yield from self._bare(text, done, mark.start())
                yield known
                done = known[1]
        yield from self._bare(text, done, len(text))

    def _marked(self, text: str, mark: re.Match[str]) -> _Place | None:
        """The name in brackets, or behind `embedding:` at once."""
        if name := mark[1]:
            ids = self.by_name.get(name.strip().casefold())
            marked = Name(_chosen(ids, name.strip()), is_marked=True) if ids else None
            return (mark.start(), mark.end(), marked) if marked else None
        following = _words(text, mark.end(), len(text), self.longest)
        if not following or following[0][1] > mark.end():
            return None
        place = self._longest(text, following, 0)
        if place is None:
            return None
        suffix = _SUFFIX.match(text, place[1])
        end = suffix.end() if suffix else place[1]
        return mark.start(), end, Name(place[2].id, is_marked=True)

    def _bare(self, text: str, begin: int, end: int) -> Iterator[_Place]:
        words = _words(text, begin, end)
        number = 0
        while number < len(words):
            if (place := self._longest(text, words, number)) is None:
                number += 1
                continue
            yield place
            while number < len(words) and words[number][1] < place[1]:
                number += 1

    def _longest(
        self, text: str, words: Sequence[tuple[str, int, int]], number: int
    ) -> _Place | None:
        """The longest name that begins with this word."""
        for length in self.lengths.get(words[number][0], ()):
            here = words[number : number + length]
            if ids := self.by_words.get(tuple(word for word, _, _ in here)):
                begin, end = here[0][1], here[-1][2]
                return begin, end, Name(_chosen(ids, text[begin:end]))
        return None


@lru_cache(_CACHED)
def _index(ids: tuple[str, ...]) -> _Index:
    by_words: dict[Words, list[str]] = {}
    by_name: dict[str, list[str]] = {}
    for id in sorted(ids):
        composed = normalize("NFC", id)
        words = tuple(word for word, _, _ in _words(composed, 0, len(composed)))
        by_words.setdefault(words, []).append(id)
        by_name.setdefault(composed.casefold(), []).append(id)
    lengths: dict[str, set[int]] = {}
    for words in by_words:
        lengths.setdefault(words[0], set()).add(len(words))
    by_length = {word: sorted(own, reverse=True) for word, own in lengths.items()}
    return _Index(by_words, by_name, by_length, max(map(len, by_words)))


def _chosen(ids: Sequence[str], written: str) -> str:
    return next((id for id in ids if normalize("NFC", id) == written), ids[0])


def _words(text: str, begin: int, end: int, most: int = 0) -> list[tuple[str, int, int]]:
    """Words in lower case with their places; at most so many, if that is said."""
    found = []
    for match in _WORD.finditer(text, begin, end):
        found.append((match[0].lower(), match.start(), match.end()))
        if len(found) == most:
            break
    return found
