"""Classifier-free guidance, from the rows of a UNet call to one output an image."""

from collections.abc import Sequence

import torch

from worker.engine.diffusion.packing import PackedRows


def guided(
    output: torch.Tensor, packed: PackedRows, scale: torch.Tensor, rescale: Sequence[float]
) -> torch.Tensor:
    """[images, C, h, w] in fp32 from [rows, C, h, w]; Ho & Salimans 2022, arXiv:2207.12598.

    scale [images]: guidance_scale; rescale: guidance_rescale of each image.
    """
    output = output.float()
    # An image without guidance is its own unconditional row: u + g·0.
    u = output.index_select(0, packed.first_rows)
    c = output.index_select(0, packed.last_rows)
    m = u + scale[:, None, None, None] * (c - u)
    for i, phi in enumerate(rescale):
        if phi:
            m[i] = rescaled(m[i], c[i], phi)
    return m


def rescaled(m: torch.Tensor, c: torch.Tensor, phi: float) -> torch.Tensor:
    """Lin et al. 2023 (arXiv:2305.08891), equations 15 and 16, for one image's [C, h, w].

    Flat and alone, so that the order of its sums depends on nothing but the image's size.
    """
    contrast = c.flatten().std() / m.flatten().std()
    return phi * (m * contrast) + (1 - phi) * m
