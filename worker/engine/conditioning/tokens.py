"""Prompts to the chunks of tokens that CLIP reads, cut where AUTOMATIC1111 cuts them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from latentry.contracts import PromptSyntax
from latentry.prompts import Segment, parse

# 600 tokens of CLIP's usual 75 a chunk. Each one makes every step's cross-attention dearer.
MAX_CHUNKS: Final = 8
# A1111's comma_padding_backtrack: a phrase this long is not torn by the end of a chunk.
_COMMA_REACH: Final = 20
_REMEMBERED: Final = 256
_WORDS_SHOWN: Final = 8

_Token: TypeAlias = tuple[int, float]


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one call of a text encoder reads. The first `said` ids are not padding."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    said: int

    @property
    def is_weighted(self) -> bool:
        """Whether some token counts more or less than it does by itself."""
        return any(weight != 1 for weight in self.weights)


@dataclass(frozen=True, slots=True)
class Reading:
    """A prompt's chunks, at least one; and the beginning of what did not fit into them."""

    chunks: tuple[Chunk, ...]
    dropped_tokens: int = 0
    dropped_words: str = ""


class Tokenizer:
    """A model's own tokenizer, making chunks of `length` ids, of which two mark begin and end."""

    def __init__(self, tokenizer: Any, length: int) -> None:
        self._tokenizer = tokenizer
        self._length = length
        self._comma = tokenizer.get_vocab().get(",</w>")
        self.read = lru_cache(_REMEMBERED)(self._read)

    @property
    def room(self) -> int:
        """Tokens of a prompt that fit into a chunk."""
        return self._length - 2

    @property
    def empty(self) -> Chunk:
        """The chunk of a prompt that says nothing, with which shorter ones are padded."""
        return self._chunk(())

    def _read(self, prompt: str, syntax: PromptSyntax) -> Reading:
        chunks = self._divide(parse(prompt, syntax))
        dropped = [token for chunk in chunks[MAX_CHUNKS:] for token, _ in chunk]
        words = self._tokenizer.decode(dropped).split() if dropped else []
        return Reading(
            chunks=tuple(self._chunk(chunk) for chunk in chunks[:MAX_CHUNKS]),
            dropped_tokens=len(dropped),
            dropped_words=" ".join(words[:_WORDS_SHOWN]) + " …" * (len(words) > _WORDS_SHOWN),
        )

    def _divide(self, segments: Sequence[Segment]) -> list[list[_Token]]:
        """As AUTOMATIC1111's modules/sd_hijack_clip.py: BREAK, like a full chunk, begins one."""
        chunks: list[list[_Token]] = []
        for segment in segments:
            chunks.append([])
            for token in self._tokens(segment):
                if len(chunks[-1]) == self.room:
                    is_comma = token[0] == self._comma
                    chunks.append([] if is_comma else self._take_torn_phrase(chunks[-1]))
                chunks[-1].append(token)
        ends_with_break = len(chunks) > 1 and not chunks[-1]
        return chunks[:-1] if ends_with_break else chunks

    def _tokens(self, segment: Segment) -> Iterator[_Token]:
        for phrase in segment:
            ids = self._tokenizer(phrase.text, add_special_tokens=False, verbose=False).input_ids
            yield from ((token, phrase.weight) for token in ids)

    def _take_torn_phrase(self, chunk: list[_Token]) -> list[_Token]:
        """Take what stands after the chunk's last comma, if that is near its end."""
        for start in range(len(chunk), max(len(chunk) - _COMMA_REACH, 0), -1):
            if chunk[start - 1][0] == self._comma:
                torn = chunk[start:]
                del chunk[start:]
                return torn
        return []

    def _chunk(self, tokens: Sequence[_Token]) -> Chunk:
        begin, end = self._tokenizer.bos_token_id, self._tokenizer.eos_token_id
        pad = self._tokenizer.pad_token_id
        padding = self.room - len(tokens)
        return Chunk(
            ids=(
                begin,
                *(token for token, _ in tokens),
                end,
                *[end if pad is None else pad] * padding,
            ),
            weights=(1.0, *(weight for _, weight in tokens), 1.0, *[1.0] * padding),
            said=len(tokens) + 2,
        )
