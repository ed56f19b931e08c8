"""How a VAE's latents stand to those that the UNet knows."""

from typing import Any

import torch


def unscaled(latents: torch.Tensor, config: Any) -> torch.Tensor:
    """The VAE's own latents [B, C, h, w] of those that the UNet made, which have unit variance.

    z = x · σ / scaling_factor + μ, with μ and σ of each channel where the config has them
    (`latents_mean`, `latents_std`). As diffusers' StableDiffusionXLPipeline; its
    StableDiffusionPipeline knows no μ and σ, but what a config says holds in every family.
    """
    mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is None or std is None:
        return latents / float(config.scaling_factor)

    def of_channels(values: Any) -> torch.Tensor:
        return torch.tensor(values, dtype=latents.dtype, device=latents.device).view(1, -1, 1, 1)

    return latents * of_channels(std) / float(config.scaling_factor) + of_channels(mean)
