"""What other programs would have taken as more than text in a prompt, and this one does not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Final

from latentry.contracts import PromptSyntax
from latentry.rules.adapters.embeddings.names import pieces
from latentry.rules.compositions import Part, parts, weighted
from latentry.rules.switches import Alternating, Scheduled, parse

_QUOTED_CHARS: Final = 60


class Foreign(StrEnum):
    """Syntax of AUTOMATIC1111 and its extensions, diffusers and ComfyUI that is not supported."""

    ADAPTER = "an adapter"
    EMBEDDING = "an unknown embedding"
    SCHEDULE = "a prompt schedule"
    ALTERNATION = "alternating words"
    WEIGHT = "a weight of the whole prompt"
    WILDCARD = "a wildcard"
    VARIANT = "a choice of variants"


@dataclass(frozen=True, slots=True)
class Unread:
    """A piece of a prompt that was read as text, and what it is elsewhere."""

    kind: Foreign
    text: str

    @property
    def code(self) -> str:
        """Of the warning."""
        is_embedding = self.kind is Foreign.EMBEDDING
        return "unknown_embedding" if is_embedding else "prompt_syntax_unsupported"

    @property
    def sentence(self) -> str:
        """Of the warning, without its subject: the prompt."""
        if self.kind is Foreign.EMBEDDING:
            return (
                f"names {self.text}, and the model had no such embedding when the request was"
                " accepted; it was read as text."
            )
        return (
            f"contains {self.text} ({self.kind}), which is not supported and was read as text;"
            f" {self.remedy}, or set prompt_syntax to plain if it is text."
        )

    @property
    def remedy(self) -> str:
        """What to do if it was meant as more than text, as a part of a sentence."""
        is_drawn = self.kind in (Foreign.WILDCARD, Foreign.VARIANT)
        return "set prompt_syntax to dynamic" if is_drawn else "remove it"


# Each stops at what could begin its next match, so that failing is linear in the prompt's length.
_PATTERNS: Final = {
    # AUTOMATIC1111's extra networks: <lora:name:1>, <lyco:…>, <hypernet:…>, whatever the word.
    Foreign.ADAPTER: re.compile(r"<\w++:[^<>]++>"),
    # The dynamic prompts extension.
    Foreign.WILDCARD: re.compile(r"__(?:[A-Za-z0-9*/.-]++_?+)++(?<=_)_"),
    Foreign.VARIANT: re.compile(r"\{[^{}|]*+\|[^{}]*+\}"),
}
# Textual inversion as diffusers (<cat-toy>) and ComfyUI (embedding:name) name it.
_EMBEDDING: Final = re.compile(r"<[A-Za-z][\w. -]*+(?<! )>|\bembedding:\w[\w.-]*+")
_BRACKETS: Final = re.compile(r"\\.|[\[\]|]", re.DOTALL)
_WHEN: Final = re.compile(r":\s*+[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)\s*+\Z")


def unread(
    prompt: str,
    syntax: PromptSyntax,
    *,
    is_negative: bool = False,
    embeddings: tuple[str, ...] = (),
) -> tuple[Unread, ...]:
    """The first piece of each kind; none in a plain prompt, which is text by its caller's word.

    embeddings: the ids of those that it may name.

    AND, and with it a weight, is text in negative prompts, as for AUTOMATIC1111. A schedule or an
    alternation that stands here is malformed, or something beside it made all of the prompt text.
    """
    if syntax is PromptSyntax.PLAIN:
        return ()
    found = {kind: match[0] for kind, one in _PATTERNS.items() if (match := one.search(prompt))}
    texts = (piece for piece in pieces(prompt, embeddings) if isinstance(piece, str))
    if unknown := next(filter(None, map(_EMBEDDING.search, texts)), None):
        found[Foreign.EMBEDDING] = unknown[0]
    written = [Part(prompt)] if is_negative else parts(prompt, syntax)
    if not is_negative and len(written) == 1 and (without := weighted(prompt)).weight != 1:
        found[Foreign.WEIGHT] = prompt[len(without.text) :]
    for kind, piece in chain.from_iterable(_unread_brackets(one.text) for one in written):
        found.setdefault(kind, piece)
    return tuple(Unread(kind, _short(found[kind])) for kind in Foreign if kind in found)


def _unread_brackets(text: str) -> Iterator[tuple[Foreign, str]]:
    """The first of each kind that is no switch, alone or in this text."""
    known: set[Foreign] = set()
    is_read = parse(text) != (text,)
    for kind, piece in _bracketed(text):
        if kind in known or (is_read and isinstance(parse(piece)[0], Scheduled | Alternating)):
            continue
        known.add(kind)
        yield kind, piece


def _bracketed(prompt: str) -> Iterator[tuple[Foreign, str]]:
    """`[from:to:when]`, `[to:when]` and `[a|b]`, at whatever depth; a backslash escapes."""
    opened: list[tuple[int, bool]] = []  # where, and whether a bar stands directly inside
    for match in _BRACKETS.finditer(prompt):
        if match[0] == "[":
            opened.append((match.start(), False))
        elif match[0] == "|" and opened:
            opened[-1] = (opened[-1][0], True)
        elif match[0] == "]" and opened:
            start, has_bar = opened.pop()
            if has_bar:
                yield Foreign.ALTERNATION, prompt[start : match.end()]
            elif _WHEN.search(prompt, max(start, match.start() - _QUOTED_CHARS), match.start()):
                yield Foreign.SCHEDULE, prompt[start : match.end()]


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _QUOTED_CHARS else f"{text[: _QUOTED_CHARS - 1]}…"
