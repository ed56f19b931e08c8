"""A request's prompts and sizes to the conditioning of its UNet calls."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import torch

from latentry.contracts import JobWarning, ResolvedRequest
from latentry.rules.foreign_syntax import unread
from worker.engine.conditioning.cache import EmbeddingCache, EmbeddingKey
from worker.engine.conditioning.clip import Clip, TextEmbedding
from worker.engine.conditioning.conditioning import Conditioning
from worker.engine.conditioning.tokens import MAX_CHUNKS

# About 1,100 chunks of SD 1.x in fp16, 400 of SDXL.
_CACHE_BYTES: Final = 128 * 2**20


class Conditioner:
    """The text encoders of a model, with a cache of what they encoded last.

    SDXL has two, whose hidden states are joined along the width. `zeros_for_empty`: an empty
    negative prompt is zeros instead of encoded, as SDXL was trained.
    """

    def __init__(
        self,
        encoders: Sequence[Clip],
        *,
        zeros_for_empty: bool = False,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        self.encoders = tuple(encoders)
        self.cache = EmbeddingCache(cache_bytes)
        self._zeros_for_empty = zeros_for_empty

    @property
    def is_xl(self) -> bool:
        """Whether the model takes sizes and crops too."""
        return len(self.encoders) > 1

    def chunks(self, request: ResolvedRequest) -> int:
        """How many chunks each of its prompts has; shorter ones are padded to the longest."""
        return max(
            len(encoder.tokenizer.tokenize(prompt, request.prompt_syntax).chunks)
            for encoder in self.encoders
            for prompt in _prompts(request).values()
        )

    def condition(self, request: ResolvedRequest) -> Conditioning:
        """Encode its prompts, chunk by chunk, and warn of what was not done."""
        chunks = self.chunks(request)
        try:
            rows = [self._row(prompt, request, chunks) for prompt in _prompts(request).values()]
        finally:
            for encoder in self.encoders:
                encoder.leave()
        if self._zeros_for_empty and len(rows) > 1 and not request.negative_prompt:
            rows[0] = rows[1].zeros()
        pooled = [row.pooled for row in rows if row.pooled is not None]
        added = {"text_embeds": torch.stack(pooled)} if pooled else {}
        if self.is_xl:
            added["time_ids"] = _time_ids(request).to(rows[0].hidden).repeat(len(rows), 1)
        return Conditioning(
            hidden=torch.stack([row.hidden for row in rows]),
            added=added,
            warnings=tuple(self._warnings(request)),
        )

    def _row(self, prompt: str, request: ResolvedRequest, chunks: int) -> TextEmbedding:
        """One prompt: chunks one after another, encoders side by side.

        Pooled is the last encoder's first chunk, as stock pools a prompt of one chunk.
        """
        encoded = [
            self._encode(number, prompt, request, chunks) for number in range(len(self.encoders))
        ]
        side_by_side = [torch.cat([chunk.hidden for chunk in row]) for row in encoded]
        return TextEmbedding(torch.cat(side_by_side, dim=-1), encoded[-1][0].pooled)

    def _encode(
        self, number: int, prompt: str, request: ResolvedRequest, chunks: int
    ) -> list[TextEmbedding]:
        """One prompt by one encoder, padded with empty chunks to so many."""
        encoder, skip = self.encoders[number], request.clip_skip
        own = encoder.tokenizer.tokenize(prompt, request.prompt_syntax).chunks
        padded = [*own, *[encoder.tokenizer.empty_chunk] * (chunks - len(own))]
        return [
            self.cache.get(EmbeddingKey(number, chunk, skip), partial(encoder.encode, chunk, skip))
            for chunk in padded
        ]

    def _warnings(self, request: ResolvedRequest) -> Iterator[JobWarning]:
        tokenizer = self.encoders[0].tokenizer
        for which, prompt in _prompts(request).items():
            for piece in unread(prompt, request.prompt_syntax, is_negative=which != "prompt"):
                yield JobWarning(
                    code="prompt_syntax_unsupported",
                    message=f"The {which} contains {piece.text} ({piece.kind}), which is not "
                    "supported and was read as text; remove it, or set prompt_syntax to plain if "
                    "it is text.",
                )
            dropped = tokenizer.tokenize(prompt, request.prompt_syntax).dropped
            if dropped:
                yield JobWarning(
                    code="prompt_truncated",
                    message=f"The {which} takes more than {MAX_CHUNKS} chunks of "
                    f"{tokenizer.chunk_tokens} tokens; everything from here on was left out: "
                    f"{dropped}",
                )


def _prompts(request: ResolvedRequest) -> dict[str, str]:
    """The prompts to encode, by name; without guidance the negative one has no effect."""
    if request.guidance_scale > 1:
        return {"negative prompt": request.negative_prompt, "prompt": request.prompt}
    return {"prompt": request.prompt}


def _time_ids(request: ResolvedRequest) -> torch.Tensor:
    """Original size, crop, target size, [6] in pixels, height before width.

    Podell et al. 2023 (arXiv:2307.01952), section 2.2; the order is diffusers' _get_add_time_ids.
    """
    size = (request.height, request.width)
    return torch.tensor(
        [
            *(request.original_size or size),
            *(request.crops_coords_top_left or (0, 0)),
            *(request.target_size or size),
        ]
    )
