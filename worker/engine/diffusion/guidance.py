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
    composed = [i for i, weights in enumerate(packed.weights) if len(weights) > 1]
    for i in composed:
        first = packed.last[i] + 1 - len(packed.weights[i])
        parts = output[first : packed.last[i] + 1]
        c[i] = composition(u[i], parts, packed.weights[i])
    m = u + scale[:, None, None, None] * (c - u)
    for i in composed:
        if packed.last[i] - packed.first[i] < len(packed.weights[i]):  # no negative prompt's row
            m[i] = c[i]
    for i, phi in enumerate(rescale):
        if phi:
            m[i] = rescaled(m[i], c[i], phi)
    return m


def composition(u: torch.Tensor, parts: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Liu et al. 2022 (arXiv:2206.01714), equation 11, at scale 1, for one image's [C, h, w].

    parts [parts, C, h, w]. Without a negative prompt's row u is the first part's, as where
    AUTOMATIC1111's sd_samplers_cfg_denoiser.py skips that row.
    """
    composed = u.clone()
    for part, weight in zip(parts.unbind(0), weights, strict=True):
        composed += weight * (part - u)
    return composed


def rescaled(m: torch.Tensor, c: torch.Tensor, phi: float) -> torch.Tensor:
    """Lin et al. 2023 (arXiv:2305.08891), equations 15 and 16, for one image's [C, h, w].

    Flat and alone, so that the order of its sums depends on nothing but the image's size.
    """
    contrast = c.flatten().std() / m.flatten().std()
    return phi * (m * contrast) + (1 - phi) * m
