"""A request's prompts and sizes to what the UNet is told, row by row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch

from latentry.contracts import JobWarning, ResolvedRequest
from worker.engine.conditioning.clip import Clip, Encoded
from worker.engine.conditioning.memory import Memory
from worker.engine.conditioning.tokens import MAX_CHUNKS

# About 1,100 chunks of SD 1.x in fp16, 400 of SDXL.
_REMEMBERED_BYTES: Final = 128 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """What the UNet is told about one image, row by row: the negative prompt's first, if guided.

    hidden [rows, tokens, width]. added: diffusers' added_cond_kwargs, which is nothing for SD 1.x
    and 2.x, and for SDXL text_embeds [rows, width] and time_ids [rows, 6].
    """

    hidden: torch.Tensor
    added: Mapping[str, torch.Tensor]
    warnings: tuple[JobWarning, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows of a UNet call are told."""
        return len(self.hidden)

    @property
    def unguided(self) -> "Conditioning":
        """The prompt's row alone."""
        return Conditioning(
            self.hidden[-1:], {name: rows[-1:] for name, rows in self.added.items()}
        )


class Conditioner:
    """The text encoders of a model, with a memory of what they were asked last.

    SDXL has two, whose hidden states go side by side. `zeros_for_empty`: an empty negative prompt
    is not encoded but zeros, as SDXL was trained.
    """

    def __init__(
        self,
        encoders: Sequence[Clip],
        *,
        zeros_for_empty: bool = False,
        remembered_bytes: int = _REMEMBERED_BYTES,
    ) -> None:
        self._encoders = tuple(encoders)
        self._zeros_for_empty = zeros_for_empty
        self._memory = Memory(remembered_bytes)

    @property
    def is_xl(self) -> bool:
        """Whether sizes and crops are told too."""
        return len(self._encoders) > 1

    def chunks(self, request: ResolvedRequest) -> int:
        """How many chunks its prompts are read in; the shorter one is padded to the longer."""
        return max(
            len(encoder.tokenizer.read(prompt, request.prompt_syntax).chunks)
            for encoder in self._encoders
            for prompt in _prompts(request).values()
        )

    def condition(self, request: ResolvedRequest) -> Conditioning:
        """Encode its prompts, chunk by chunk, and say what of them did not fit."""
        chunks = self.chunks(request)
        rows = [self._row(prompt, request, chunks) for prompt in _prompts(request).values()]
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

    def _row(self, prompt: str, request: ResolvedRequest, chunks: int) -> Encoded:
        """Chunks one after another, encoders side by side."""
        read = [
            self._encode(number, encoder, prompt, request, chunks)
            for number, encoder in enumerate(self._encoders)
        ]
        side_by_side = [torch.cat([chunk.hidden for chunk in row]) for row in read]
        return Encoded(torch.cat(side_by_side, dim=-1), read[-1][0].pooled)

    def _encode(
        self, number: int, encoder: Clip, prompt: str, request: ResolvedRequest, chunks: int
    ) -> list[Encoded]:
        said = encoder.tokenizer.read(prompt, request.prompt_syntax).chunks
        padded = [*said, *[encoder.tokenizer.empty] * (chunks - len(said))]
        return [
            self._memory.recall(
                (number, chunk, request.clip_skip),
                partial(encoder.encode, chunk, request.clip_skip),
            )
            for chunk in padded
        ]

    def _warnings(self, request: ResolvedRequest) -> Iterator[JobWarning]:
        tokenizer = self._encoders[0].tokenizer
        for which, prompt in _prompts(request).items():
            dropped = tokenizer.read(prompt, request.prompt_syntax).dropped
            if dropped:
                yield JobWarning(
                    code="prompt_truncated",
                    message=f"The {which} takes more than {MAX_CHUNKS} chunks of {tokenizer.room} "
                    f"tokens; all was left out from here on: {dropped}",
                )


def _prompts(request: ResolvedRequest) -> dict[str, str]:
    """What is encoded, by what it is called: without guidance nobody looks at the negative one."""
    if request.guidance_scale > 1:
        return {"negative prompt": request.negative_prompt, "prompt": request.prompt}
    return {"prompt": request.prompt}


def _time_ids(request: ResolvedRequest) -> torch.Tensor:
    """Original size, crop, target size (Podell et al. 2023, arXiv:2307.01952, section 2.2)."""
    size = (request.height, request.width)
    return torch.tensor(
        [
            *(request.original_size or size),
            *(request.crops_coords_top_left or (0, 0)),
            *(request.target_size or size),
        ]
    )
