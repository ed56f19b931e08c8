"""Prompts to the chunks of tokens that CLIP encodes, split where AUTOMATIC1111 splits them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TypeAlias

from latentry.contracts import PromptSyntax
from latentry.rules.prompts import Segment, parse

# 600 tokens, at CLIP's usual 75 a chunk. Each chunk makes the cross-attention of all steps larger.
MAX_CHUNKS: Final = 8
# A1111's comma_padding_backtrack, in tokens: a phrase up to this long is not split between chunks.
_COMMA_BACKTRACK: Final = 20
_CACHED_PROMPTS: Final = 256
_WORDS_SHOWN: Final = 8

_Token: TypeAlias = tuple[int, float]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The input of one call of a text encoder: token ids, and a weight for each.

    The first `length` ids are not padding; two of them mark begin and end.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    length: int

    @property
    def is_weighted(self) -> bool:
        """Whether some token has another weight than 1."""
        return any(weight != 1 for weight in self.weights)


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt's chunks, at least one; `dropped`: the first words of what did not fit."""

    chunks: tuple[Chunk, ...]
    dropped: str


class Tokenizer:
    """A model's own tokenizer, for chunks of `length` ids, of which two mark begin and end.

    `tokenize` takes a prompt and its syntax, and remembers the last prompts.
    """

    def __init__(self, tokenizer: Any, length: int) -> None:
        self._tokenizer = tokenizer
        self._encoder = _reading_all_words(tokenizer)
        self._length = length
        self._comma = tokenizer.get_vocab().get(",</w>")
        self.tokenize = lru_cache(_CACHED_PROMPTS)(self._tokenize)

    @property
    def chunk_tokens(self) -> int:
        """How many tokens of a prompt fit into a chunk."""
        return self._length - 2

    @property
    def empty_chunk(self) -> Chunk:
        """The chunk of an empty prompt, with which shorter prompts are padded."""
        return self._chunk(())

    def _tokenize(self, prompt: str, syntax: PromptSyntax) -> TokenizedPrompt:
        chunks = self._divide(parse(prompt, syntax))
        kept = [self._chunk(chunk) for chunk in islice(chunks, MAX_CHUNKS)]
        # The rest is not even tokenised: all trajectories wait while this runs, between two steps.
        dropped = [token for token, _ in next(filter(None, chunks), [])]
        words = self._tokenizer.decode(dropped).split() if dropped else []
        ellipsis = ["…"] if len(words) > _WORDS_SHOWN else []
        return TokenizedPrompt(tuple(kept), " ".join(words[:_WORDS_SHOWN] + ellipsis))

    def _divide(self, segments: Sequence[Segment]) -> Iterator[list[_Token]]:
        """As AUTOMATIC1111's modules/sd_hijack_clip.py: a full chunk and BREAK begin a new one."""
        for number, segment in enumerate(segments, start=1):
            chunk: list[_Token] = []
            for token in self._tokens(segment):
                if len(chunk) == self.chunk_tokens:
                    carried = [] if token[0] == self._comma else self._take_last_phrase(chunk)
                    yield chunk
                    chunk = carried
                chunk.append(token)
            ends_with_break = 1 < number == len(segments) and not chunk
            if not ends_with_break:
                yield chunk

    def _tokens(self, segment: Segment) -> Iterator[_Token]:
        for phrase in segment:
            if not phrase.text.isspace():
                ids = self._encoder.encode(phrase.text, add_special_tokens=False).ids
                yield from ((token, phrase.weight) for token in ids)

    def _take_last_phrase(self, chunk: list[_Token]) -> list[_Token]:
        """Remove and return what is after the chunk's last comma, if that is near its end."""
        for start in range(len(chunk), max(len(chunk) - _COMMA_BACKTRACK, 0), -1):
            if chunk[start - 1][0] == self._comma:
                phrase = chunk[start:]
                del chunk[start:]
                return phrase
        return []

    def _chunk(self, tokens: Sequence[_Token]) -> Chunk:
        begin, end = self._tokenizer.bos_token_id, self._tokenizer.eos_token_id
        pad = self._tokenizer.pad_token_id
        padding = self.chunk_tokens - len(tokens)
        return Chunk(
            ids=(
                begin,
                *(token for token, _ in tokens),
                end,
                *[end if pad is None else pad] * padding,
            ),
            weights=(1.0, *(weight for _, weight in tokens), 1.0, *[1.0] * padding),
            length=len(tokens) + 2,
        )


def _reading_all_words(tokenizer: Any) -> Any:
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
