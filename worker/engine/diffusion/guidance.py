"""Classifier-free guidance, from the rows of a UNet call to one output an image."""

from collections.abc import Sequence

import torch

from worker.engine.diffusion.packing import PackedRows
from worker.engine.diffusion.trajectory import Trajectory


def guided(
    output: torch.Tensor, packed: PackedRows, scale: torch.Tensor, images: Sequence[Trajectory]
) -> torch.Tensor:
    """[images, C, h, w] in fp32 from [rows, C, h, w]; Ho & Salimans 2022, arXiv:2207.12598.

    scale [images]: guidance_scale.
    """
    output = output.float()
    u, c = _negative_and_positive(output, packed, images)
    m = u + scale[:, None, None, None] * (c - u)
    for i, image in enumerate(images):
        has_negative = packed.last[i] - packed.first[i] >= len(packed.weights[i])
        if not has_negative and len(packed.weights[i]) > 1:
            m[i] = c[i]
        if image.image_guidance is not None:
            m[i] = edited(m[i], u[i], output[packed.first[i]], image.image_guidance)
        if image.rescale:
            m[i] = rescaled(m[i], c[i], image.rescale)
    return m


def _negative_and_positive(
    output: torch.Tensor, packed: PackedRows, images: Sequence[Trajectory]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each image, what guidance leads away from and where to, [images, C, h, w] each.

    An image without guidance is its own unconditional row: u + g·0.
    """
    u = output.index_select(0, packed.first_rows)
    c = output.index_select(0, packed.last_rows)
    for i, (image, weights) in enumerate(zip(images, packed.weights, strict=True)):
        if image.image_guidance is not None:  # guided from the row of its picture
            u[i] = output[packed.first[i] + 1]
        if len(weights) > 1:
            parts = output[packed.last[i] + 1 - len(weights) : packed.last[i] + 1]
            c[i] = composition(u[i], parts, weights)
    return u, c


def edited(
    m: torch.Tensor, of_picture: torch.Tensor, of_nothing: torch.Tensor, scale: float
) -> torch.Tensor:
    """Brooks et al. 2023 (arXiv:2211.09800), equation 3, for one image's [C, h, w].

    m: guided by the prompt from the row that sees the picture; that row itself is guided from the
    one that sees nothing.
    """
    return m + (scale - 1) * (of_picture - of_nothing)


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
