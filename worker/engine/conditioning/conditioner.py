"""A request's prompts and sizes to the conditioning of its UNet calls."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import torch

from latentry.contracts import JobWarning, ResolvedRequest
from latentry.rules.foreign_syntax import unread
from latentry.rules.prompt_rows import PromptRow, prompt_rows
from worker.engine.conditioning.cache import EmbeddingCache, EmbeddingKey
from worker.engine.conditioning.clip import Clip, TextEmbedding
from worker.engine.conditioning.conditioning import ConditioningByCall
from worker.engine.conditioning.terms import TextAdapters
from worker.engine.conditioning.tokens import MAX_CHUNKS, TokenizedPrompt

# About 1,100 chunks of SD 1.x in fp16, 400 of SDXL.
_CACHE_BYTES: Final = 128 * 2**20
# The aesthetic scores, out of ten, of a prompt and of a negative one: diffusers' and A1111's.
_SCORES: Final = {False: 6.0, True: 2.5}
_NO_ADAPTERS: Final = TextAdapters()


class Conditioner:
    """The text encoders of a model, with a cache of what they encoded last.

    SDXL has two, whose hidden states are joined along the width; its refiner has the second alone.
    `zeros_for_empty`: an empty negative prompt is zeros instead of encoded, as SDXL was trained.
    `takes_score`: an aesthetic score stands in the place of the target size, as in the refiner.
    """

    def __init__(
        self,
        encoders: Sequence[Clip],
        *,
        zeros_for_empty: bool = False,
        takes_score: bool = False,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        self.encoders = tuple(encoders)
        self.cache = EmbeddingCache(cache_bytes)
        self._zeros_for_empty = zeros_for_empty
        self._takes_score = takes_score

    @property
    def is_xl(self) -> bool:
        """Whether the model takes sizes and crops too."""
        return len(self.encoders) > 1 or self._takes_score

    def chunks(self, request: ResolvedRequest) -> int:
        """How many chunks each text of its prompts has; shorter ones are padded to the longest."""
        return max(
            len(_tokenized(encoder, text, request).chunks)
            for encoder in self.encoders
            for row in prompt_rows(request)
            for text in row.distinct
        )

    def condition(
        self,
        request: ResolvedRequest,
        adapters: TextAdapters = _NO_ADAPTERS,
        *,
        chunks: int | None = None,
    ) -> ConditioningByCall:
        """Encode all texts of its prompts, chunk by chunk, and warn of what was not done.

        `adapters`: what they change in the encoders for this request. `chunks`: of each text; as
        many as it needs if omitted.
        """
        chunks, rows = chunks or self.chunks(request), prompt_rows(request)
        texts = dict.fromkeys(text for row in rows for text in row.texts)
        try:
            encoded = {text: self._embedding(text, request, chunks, adapters) for text in texts}
        finally:
            for encoder in self.encoders:
                encoder.leave()
        embeddings = [[encoded[text] for text in row.texts] for row in rows]
        if self._zeros_for_empty and not request.negative_prompt:
            for number in range(request.negative_rows):
                embeddings[number] = [embeddings[-1][0].zeros()]
        like = embeddings[0][0].hidden
        return ConditioningByCall(
            embeddings,
            tuple(row.weight for row in rows if not row.is_negative),
            time_ids=self._time_ids(request, rows).to(like) if self.is_xl else None,
            warnings=tuple(self._warnings(request)),
        )

    def _embedding(
        self, prompt: str, request: ResolvedRequest, chunks: int, adapters: TextAdapters
    ) -> TextEmbedding:
        """One text: chunks one after another, encoders side by side.

        Pooled is the last encoder's first chunk, as stock pools a prompt of one chunk.
        """
        encoded = [
            self._encode(number, prompt, request, chunks, adapters)
            for number in range(len(self.encoders))
        ]
        side_by_side = [torch.cat([chunk.hidden for chunk in row]) for row in encoded]
        return TextEmbedding(torch.cat(side_by_side, dim=-1), encoded[-1][0].pooled)

    def _encode(
        self,
        number: int,
        prompt: str,
        request: ResolvedRequest,
        chunks: int,
        adapters: TextAdapters,
    ) -> list[TextEmbedding]:
        """One text by one encoder, padded with empty chunks to so many."""
        encoder, skip = self.encoders[number], request.clip_skip
        own = _tokenized(encoder, prompt, request).chunks
        padded = [*own, *[encoder.tokenizer.empty_chunk] * (chunks - len(own))]
        its = adapters.of_encoder(number, len(self.encoders))
        return [
            self.cache.get(
                EmbeddingKey(number, chunk, skip, its.key),
                partial(encoder.encode, chunk, skip, its),
            )
            for chunk in padded
        ]

    def _time_ids(self, request: ResolvedRequest, rows: Sequence[PromptRow]) -> torch.Tensor:
        """Original size, crop, target size, [rows, 6] in pixels, height before width.

        Podell et al. 2023 (arXiv:2307.01952), section 2.2; the order is diffusers'
        _get_add_time_ids. The refiner's are [rows, 5], with the score of a row's prompt at the end.
        """
        size = (request.height, request.width)
        first = (*(request.original_size or size), *(request.crops_coords_top_left or (0, 0)))
        if not self._takes_score:
            return torch.tensor([(*first, *(request.target_size or size))] * len(rows))
        return torch.tensor([(*first, _SCORES[row.is_negative]) for row in rows])

    def _warnings(self, request: ResolvedRequest) -> Iterator[JobWarning]:
        rows, syntax = prompt_rows(request), request.prompt_syntax
        for is_negative in dict.fromkeys(row.is_negative for row in rows):
            which = "negative prompt" if is_negative else "prompt"
            prompt = request.negative_prompt if is_negative else request.prompt
            known = tuple(one.id for one in request.embeddings)
            for piece in unread(prompt, syntax, is_negative=is_negative, embeddings=known):
                yield JobWarning(code=piece.code, message=f"The {which} {piece.sentence}")
            own = [row for row in rows if row.is_negative is is_negative]
            texts = [text for row in own for text in row.distinct]
            tokenized = [_tokenized(self.encoders[0], text, request) for text in texts]
            dropped = next((one.dropped for one in tokenized if one.dropped), "")
            if dropped:
                tokens = self.encoders[0].tokenizer.chunk_tokens
                yield JobWarning(
                    code="prompt_truncated",
                    message=f"The {which} takes more than {MAX_CHUNKS} chunks of "
                    f"{tokens} tokens; everything from here on was left out: "
                    f"{dropped}",
                )


def _tokenized(encoder: Clip, text: str, request: ResolvedRequest) -> TokenizedPrompt:
    return encoder.tokenizer.tokenize(text, request.prompt_syntax, request.embeddings)
