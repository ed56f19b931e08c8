"""Stock's own IP-Adapter in a pipeline's UNet, whatever the pipeline is."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

from tests.worker.engine.adapters.ip_adapter.pasted import Weights

# Whose side each row of a call is on: those of an edit are the prompt's, the picture's, neither's.
_SIDES = {1: (1,), 2: (0, 1), 3: (1, 0, 0)}


@dataclass(frozen=True)
class Shown:
    """A file's weights, and the pictures that it is to show, RGB bytes, each with its weight."""

    weights: Weights
    pictures: Sequence[tuple[np.ndarray, float]]


@functools.cache
def stock_encoder(folder: Path) -> Any:
    """As load_ip_adapter registers it."""
    return CLIPVisionModelWithProjection.from_pretrained(folder).eval()


@contextmanager
def shown(pipeline: Any, folder: Path, prompts: Sequence[Shown]) -> Iterator[list[torch.Tensor]]:
    """The pipeline's UNet with these adapters, by stock's loaders and attention processors.

    What load_ip_adapter and prepare_ip_adapter_image_embeds do for one class of pipelines. Each row
    of a call sees its side of what is yielded: of each adapter [2, pictures, …], with nothing
    before the pictures. folder: of the image encoder.
    """
    unet, before = pipeline.unet, pipeline.unet.attn_processors
    unet._load_ip_adapter_weights([_split(one.weights) for one in prompts], low_cpu_mem_usage=False)
    for processor in unet.attn_processors.values():
        if hasattr(processor, "to_v_ip"):
            for number, one in enumerate(prompts):
                _weigh(processor, number, [weight for _, weight in one.pictures])
    encoder = stock_encoder(folder)
    sides = [
        torch.stack(list(_encoded(encoder, projection, one)))
        for one, projection in zip(
            prompts, unet.encoder_hid_proj.image_projection_layers, strict=True
        )
    ]
    forward = unet.forward

    def seeing(sample: torch.Tensor, *args: Any, added_cond_kwargs: Any = None, **rest: Any) -> Any:
        rows = list(_SIDES[len(sample)]) if len(_ROWS) == 0 else _ROWS[-1]
        embeds = [side[rows].to(sample.dtype) for side in sides]
        added = {**(added_cond_kwargs or {}), "image_embeds": embeds}
        return forward(sample, *args, added_cond_kwargs=added, **rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unet, "forward", seeing)
        try:
            yield sides
        finally:
            unet.encoder_hid_proj = None  # first: a resampler's attentions count as the UNet's
            unet.set_attn_processor(before)
            unet.config.encoder_hid_dim_type = None


_ROWS: list[list[int]] = []


@contextmanager
def on_sides(*sides: int) -> Iterator[None]:
    """Around calls whose rows are of these sides: 0 of the negative prompt, 1 of the prompt."""
    _ROWS.append(list(sides))
    try:
        yield
    finally:
        _ROWS.pop()


class _Weighed(torch.nn.Module):
    """Values of several pictures' tokens [rows, pictures, tokens, width], each with its weight."""

    def __init__(self, inner: torch.nn.Module, weights: Sequence[float]) -> None:
        super().__init__()
        self.inner = inner
        self.weights = torch.tensor(weights)[:, None, None]

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x) * self.weights.to(x.dtype)


def _weigh(processor: Any, number: int, weights: Sequence[float]) -> None:
    """By stock's scale of an adapter; stock has none of a picture."""
    processor.scale[number] = weights[0]
    if len(set(weights)) > 1:
        processor.scale[number] = 1.0
        processor.to_v_ip[number] = _Weighed(processor.to_v_ip[number], weights)


def _split(weights: Mapping[str, torch.Tensor]) -> dict[str, Weights]:
    found: dict[str, Weights] = {"image_proj": {}, "ip_adapter": {}}
    for name, tensor in weights.items():
        part, _, rest = name.partition(".")
        found[part][rest] = tensor.detach().clone()
    return found


@torch.inference_mode()
def _encoded(encoder: Any, projection: Any, one: Shown) -> Iterator[torch.Tensor]:
    """Nothing, and the pictures, as the pipelines' encode_image."""
    process = CLIPImageProcessorPil(size=224, crop_size=224)
    images = [Image.fromarray(picture) for picture, _ in one.pictures]
    pixels = process(images, return_tensors="pt").pixel_values
    if type(projection).__name__ == "ImageProjection":
        embeds = encoder(pixels).image_embeds
        yield torch.zeros_like(embeds)
        yield embeds
    else:
        for values in (torch.zeros_like(pixels), pixels):
            yield encoder(values, output_hidden_states=True).hidden_states[-2]
