"""Prompts to the chunks of tokens that CLIP reads, cut where AUTOMATIC1111 cuts them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TypeAlias

from latentry.contracts import PromptSyntax
from latentry.rules.prompts import Segment, parse

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
    """A prompt's chunks, at least one; and the first words of what did not fit into them."""

    chunks: tuple[Chunk, ...]
    dropped: str


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
        kept = [self._chunk(chunk) for chunk in islice(chunks, MAX_CHUNKS)]
        # What comes later is not even tokenised: this runs between two steps of everybody's.
        dropped = [token for token, _ in next(filter(None, chunks), [])]
        words = self._tokenizer.decode(dropped).split() if dropped else []
        ellipsis = ["…"] if len(words) > _WORDS_SHOWN else []
        return Reading(tuple(kept), " ".join(words[:_WORDS_SHOWN] + ellipsis))

    def _divide(self, segments: Sequence[Segment]) -> Iterator[list[_Token]]:
        """As AUTOMATIC1111's modules/sd_hijack_clip.py: BREAK, like a full chunk, begins one."""
        for number, segment in enumerate(segments, start=1):
            chunk: list[_Token] = []
            for token in self._tokens(segment):
                if len(chunk) == self.room:
                    torn = [] if token[0] == self._comma else self._take_torn_phrase(chunk)
                    yield chunk
                    chunk = torn
                chunk.append(token)
            ends_with_break = 1 < number == len(segments) and not chunk
            if not ends_with_break:
                yield chunk

    def _tokens(self, segment: Segment) -> Iterator[_Token]:
        for phrase in segment:
            if not phrase.text.isspace():
                ids = self._tokenizer(phrase.text, add_special_tokens=False, verbose=False)
                yield from ((token, phrase.weight) for token in ids.input_ids)

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
