"""How a VAE's latents stand to those that the UNet knows."""

from typing import Any

import torch


def scaled(latents: torch.Tensor, config: Any) -> torch.Tensor:
    """The latents [B, C, h, w] that the UNet knows, of the VAE's own: `unscaled` backwards."""
    mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    factor = float(config.scaling_factor)
    if mean is None or std is None:
        return latents * factor
    return (latents - _of_channels(mean, latents)) * factor / _of_channels(std, latents)


def unscaled(latents: torch.Tensor, config: Any) -> torch.Tensor:
    """The VAE's own latents [B, C, h, w] of those that the UNet made, which have unit variance.

    z = x · σ / scaling_factor + μ, with μ and σ of each channel where the config has them
    (`latents_mean`, `latents_std`). As diffusers' StableDiffusionXLPipeline; its
    StableDiffusionPipeline knows no μ and σ, but what a config says holds in every family.
    """
    mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is None or std is None:
        return latents / float(config.scaling_factor)
    own_std = _of_channels(std, latents)
    return latents * own_std / float(config.scaling_factor) + _of_channels(mean, latents)


def _of_channels(values: Any, like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)
