"""Prompts to the chunks of tokens that CLIP encodes, split where AUTOMATIC1111 splits them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, groupby, islice
from typing import Any, Final

from latentry.contracts import Embedding, PromptSyntax
from latentry.rules.adapters.embeddings.names import Name, pieces
from latentry.rules.prompts import Segment, parse

# 600 tokens, at CLIP's usual 75 a chunk. Each chunk makes the cross-attention of all steps larger.
MAX_CHUNKS: Final = 8
# A1111's comma_padding_backtrack, in tokens: a phrase up to this long is not split between chunks.
_COMMA_BACKTRACK: Final = 20
_CACHED_PROMPTS: Final = 256
_WORDS_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """The input of one call of a text encoder: token ids, and a weight for each.

    The first `length` ids are not padding; two of them mark begin and end. embeddings: where each
    begins, and the SHA-256 of its file; the ids there mean nothing.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    length: int
    embeddings: tuple[tuple[int, str], ...] = ()

    @property
    def is_weighted(self) -> bool:
        """Whether some token has another weight than 1."""
        return any(weight != 1 for weight in self.weights)


@dataclass(frozen=True, slots=True)
class _Unit:
    """What a chunk has as a whole or not at all: a token, or an embedding with all its vectors."""

    ids: tuple[int, ...]
    weight: float
    embedding: Embedding | None = None


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt's chunks, at least one; `dropped`: the first words of what did not fit."""

    chunks: tuple[Chunk, ...]
    dropped: str


class Tokenizer:
    """A model's own tokenizer, for chunks of `length` ids, of which two mark begin and end.

    `tokenize` takes a prompt, its syntax and the embeddings that it names, and remembers the last
    prompts. `reader`: what `reading_all_words` makes of the tokenizer, where it is made already.
    """

    def __init__(self, tokenizer: Any, length: int, reader: Any = None) -> None:
        self._tokenizer = tokenizer
        self._encoder = reader or reading_all_words(tokenizer)
        self._length = length
        self._comma = (tokenizer.get_vocab().get(",</w>"),)
        # In the place of vectors: any but the one by which an encoder finds a text's end.
        self._placeholder = int(tokenizer.eos_token_id == 0)
        self.tokenize = lru_cache(_CACHED_PROMPTS)(self._tokenize)

    @property
    def chunk_tokens(self) -> int:
        """How many tokens of a prompt fit into a chunk."""
        return self._length - 2

    @property
    def empty_chunk(self) -> Chunk:
        """The chunk of an empty prompt, with which shorter prompts are padded."""
        return self._chunk(())

    def _tokenize(
        self, prompt: str, syntax: PromptSyntax, embeddings: tuple[Embedding, ...] = ()
    ) -> TokenizedPrompt:
        chunks = self._divide(parse(prompt, syntax), {one.id: one for one in embeddings})
        kept = [self._chunk(chunk) for chunk in islice(chunks, MAX_CHUNKS)]
        # The rest is not even tokenised: all trajectories wait while this runs, between two steps.
        words = self._shown(next(filter(None, chunks), [])).split()
        ellipsis = ["…"] if len(words) > _WORDS_SHOWN else []
        return TokenizedPrompt(tuple(kept), " ".join(words[:_WORDS_SHOWN] + ellipsis))

    def _divide(
        self, segments: Sequence[Segment], embeddings: Mapping[str, Embedding]
    ) -> Iterator[list[_Unit]]:
        """As AUTOMATIC1111's modules/sd_hijack_clip.py: a full chunk and BREAK begin a new one, and
        so does an embedding that does not fit as a whole.
        """
        for number, segment in enumerate(segments, start=1):
            chunk, room = list[_Unit](), self.chunk_tokens
            for unit in self._units(segment, embeddings):
                if not room:
                    carried = [] if unit.ids == self._comma else self._take_last_phrase(chunk)
                    yield chunk
                    chunk, room = carried, self.chunk_tokens - _tokens(carried)
                if len(unit.ids) > room:
                    yield chunk
                    chunk, room = [], self.chunk_tokens
                chunk.append(unit)
                room -= len(unit.ids)
            ends_with_break = 1 < number == len(segments) and not chunk
            if not ends_with_break:
                yield chunk

    def _units(self, segment: Segment, embeddings: Mapping[str, Embedding]) -> Iterator[_Unit]:
        names = tuple(embeddings)
        for phrase in segment:
            for piece in pieces(phrase.text, names):
                if isinstance(piece, Name):
                    one = embeddings[piece.id]
                    yield _Unit((self._placeholder,) * one.vectors, phrase.weight, one)
                elif not piece.isspace():
                    ids = self._encoder.encode(piece, add_special_tokens=False).ids
                    yield from (_Unit((token,), phrase.weight) for token in ids)

    def _take_last_phrase(self, chunk: list[_Unit]) -> list[_Unit]:
        """Remove and return what is after the chunk's last comma, if that is near its end."""
        tokens = 0
        for start in range(len(chunk), 0, -1):
            if tokens >= _COMMA_BACKTRACK:
                break
            if chunk[start - 1].ids == self._comma:
                phrase = chunk[start:]
                del chunk[start:]
                return phrase
            tokens += len(chunk[start - 1].ids)
        return []

    def _chunk(self, units: Sequence[_Unit]) -> Chunk:
        begin, end = self._tokenizer.bos_token_id, self._tokenizer.eos_token_id
        pad, length = self._tokenizer.pad_token_id, _tokens(units)
        padding = self.chunk_tokens - length
        weights = [unit.weight for unit in units for _ in unit.ids]
        starts = accumulate((len(unit.ids) for unit in units), initial=1)
        return Chunk(
            ids=(
                begin,
                *(token for unit in units for token in unit.ids),
                end,
                *[end if pad is None else pad] * padding,
            ),
            weights=(1.0, *weights, 1.0, *[1.0] * padding),
            length=length + 2,
            embeddings=tuple(
                (start, unit.embedding.sha256)
                for start, unit in zip(starts, units, strict=False)
                if unit.embedding is not None
            ),
        )

    def _shown(self, units: Sequence[_Unit]) -> str:
        """Their text, with embeddings by their ids."""
        texts = []
        for name, run in groupby(units, key=lambda unit: unit.embedding and unit.embedding.id):
            words = [token for unit in run for token in unit.ids]
            texts.append(name or self._tokenizer.decode(words))
        return " ".join(texts)


def _tokens(units: Sequence[_Unit]) -> int:
    return sum(len(unit.ids) for unit in units)


def reading_all_words(tokenizer: Any) -> Any:
    """A tokenizer's backend, for which no word of its vocabulary but begin and end is special.

    OpenCLIP pads with id 0, which happens to be `!` inside a word. transformers takes every `!` of
    a prompt for that, not for the word `!` that models learnt (docs/decisions/0029).
    """
    backend = tokenizer.backend_tokenizer
    saved = json.loads(backend.to_str())
    special = {tokenizer.bos_token, tokenizer.eos_token}
    added = [
        token
        for token in saved["added_tokens"]
        if token["content"] in special or token["content"] not in saved["model"]["vocab"]
    ]
    saved |= {"added_tokens": added, "padding": None, "truncation": None}
    return type(backend).from_str(json.dumps(saved))
