"""Embeddings' files as they are shared, and what they mean: words of a stock pipeline.

Keys after AUTOMATIC1111 (modules/textual_inversion), kohya-ss (train_textual_inversion.py and
sdxl_train_textual_inversion.py) and diffusers (examples/textual_inversion).
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

Vectors = tuple[torch.Tensor, ...]  # [vectors, width] of each text encoder
ENCODERS = ("", "_2")


def encoders(pipeline: Any) -> list[tuple[str, Any]]:
    """A stock pipeline's text encoders, by the suffix of their names."""
    found = [(suffix, getattr(pipeline, f"text_encoder{suffix}", None)) for suffix in ENCODERS]
    return [(suffix, one) for suffix, one in found if one is not None]


def drawn(pipeline: Any, count: int, seed: int) -> Vectors:
    """Random ones, as large as the model's own."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _, encoder in encoders(pipeline):
        table = encoder.get_input_embeddings().weight
        noise = torch.randn(count, table.shape[1], generator=generator)
        made.append(noise * table.std().item())
    return tuple(made)


def file(vectors: Vectors, layout: str = "a1111") -> dict[str, torch.Tensor]:
    """The tensors of a file; SDXL has one layout alone."""
    if len(vectors) == 2:
        return dict(zip(("clip_l", "clip_g"), vectors, strict=True))
    [own] = vectors
    return {
        "a1111": {"emb_params": own},
        "diffusers": {"<cat-toy>": own},
        "diffusers, one vector": {"<cat-toy>": own[0]},
        "a bare word": {"cat-toy": own},
    }[layout]


@contextmanager
def words(pipeline: Any, known: Mapping[str, Vectors]) -> Iterator[None]:
    """A stock pipeline that has read embeddings by its own loader, under words in lower case.

    Afterwards it is as before, which stock's unload would not make it.
    """
    before = [
        (suffix, encoder, getattr(pipeline, f"tokenizer{suffix}"), encoder.get_input_embeddings())
        for suffix, encoder in encoders(pipeline)
    ]
    sizes = [encoder.config.vocab_size for _, encoder in encoders(pipeline)]
    try:
        for number, (suffix, encoder, tokenizer, table) in enumerate(before):
            tokenizer = copy.deepcopy(tokenizer)
            setattr(pipeline, f"tokenizer{suffix}", tokenizer)
            encoder.set_input_embeddings(copy.deepcopy(table))
            for word, vectors in known.items():
                pipeline.load_textual_inversion(
                    {word: vectors[number]}, token=word, tokenizer=tokenizer, text_encoder=encoder
                )
        yield
    finally:
        for (suffix, encoder, tokenizer, table), size in zip(before, sizes, strict=True):
            setattr(pipeline, f"tokenizer{suffix}", tokenizer)
            encoder.set_input_embeddings(table)
            encoder.config.vocab_size = size
