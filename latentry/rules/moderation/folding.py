"""A text as rules read it: whatever its case, spacing, punctuation and look-alike letters."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from latentry.rules.moderation.lookalikes import TO_LATIN

# Marks on letters, and signs that are not seen: joiners, soft hyphens, changes of direction; and
# halves of signs, which no encoding has.
_UNSEEN: Final = frozenset({"Mn", "Me", "Cf", "Cs"})
# Letters by category, and nothing to the eye: the Hangul fillers.
_FILLERS: Final = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0"))
_WORD: Final = re.compile(r"[^\W_]+")
_NO_LETTER: Final = re.compile(r"[\W_]+")
# A word with a digit or a sign beside letters may be another in disguise; 1 and ! are i or l.
_DISGUISE: Final = re.compile(r"[013457@$!]")
_LETTER: Final = re.compile(r"[a-z]")
_DIGITS: Final = tuple(str.maketrans("013457@$!", f"o{one}easta" + f"s{one}") for one in "il")
# f r o g: at least so many letters, each by itself.
_SPELLED: Final = 3
_ARTICLES: Final = ("a", "i")


def readings(text: str) -> tuple[str, ...]:
    """All ways in which a text is read, each as folded words with a space between; mostly one.

    A word divided by punctuation is read as one and as several, letters that stand by themselves as
    a word, and digits and signs among letters also as the letters that they look like. Linear in
    the length of the text.
    """
    folded = fold(text)
    disguises = (folded, *(_undisguised(folded, table) for table in _DIGITS))
    return tuple(dict.fromkeys(one for way in dict.fromkeys(disguises) for one in _divided(way)))


def fold(text: str) -> str:
    """Lower case, without marks and unseen signs, and with Latin letters for their look-alikes."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    if decomposed.isascii():
        return decomposed
    seen = "".join(sign for sign in decomposed if unicodedata.category(sign) not in _UNSEEN)
    return seen.translate(_FILLERS).translate(TO_LATIN)


def _undisguised(folded: str, table: dict[int, int]) -> str:
    if not _DISGUISE.search(folded):
        return folded
    return " ".join(
        word.translate(table) if _LETTER.search(word) else word for word in folded.split()
    )


def _divided(folded: str) -> Iterator[str]:
    apart = _WORD.findall(folded)
    yield " ".join(apart)
    whole = (_NO_LETTER.sub("", chunk) for chunk in folded.split())
    yield " ".join(word for word in whole if word)
    yield from _respelled(apart)


def _respelled(words: list[str]) -> Iterator[str]:
    """With letters that stand by themselves as words; a first a or i may be a word of its own."""
    for keeps_article in (False, True):
        found: list[str] = []
        run: list[str] = []
        for word in [*words, ""]:
            if len(word) == 1:
                run.append(word)
                continue
            found += _joined(run, keeps_article=keeps_article)
            run = []
            found.append(word)
        yield " ".join(found[:-1])


def _joined(run: list[str], *, keeps_article: bool) -> list[str]:
    if len(run) < _SPELLED:
        return run
    if keeps_article and run[0] in _ARTICLES and len(run) > _SPELLED:
        return [run[0], "".join(run[1:])]
    return ["".join(run)]
