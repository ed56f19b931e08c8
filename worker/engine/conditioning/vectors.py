"""Embeddings in a chunk: vectors in the place of what tokens mean to a text encoder.

Gal et al. 2022, arXiv:2208.01618. They are put behind the encoder's own table of tokens for one
call, by names of our own: neither the table nor the tokenizer knows of them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch

from worker.engine.conditioning.tokens import Chunk

# [vectors, width] by the SHA-256 of the file; of one encoder, or of all that a model has in their
# order. The last one is the last encoder's, also of a refiner, which has SDXL's second alone.
EncoderVectors: TypeAlias = Mapping[str, torch.Tensor]
TextVectors: TypeAlias = Mapping[str, tuple[torch.Tensor, ...]]


@contextmanager
def placed(model: Any, chunk: Chunk, vectors: EncoderVectors) -> Iterator[None]:
    """Around one call of an encoder with this chunk: its embeddings stand where their names do."""

    def put(module: Any, arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        for begin, sha256 in chunk.embeddings:
            own = vectors[sha256]
            output[0, begin : begin + len(own)] = own

    table = getattr(model, "text_model", model).embeddings.token_embedding
    hook = table.register_forward_hook(put)
    try:
        yield
    finally:
        hook.remove()
