"""The variance β_t that each training step added, by the schedules that diffusers names."""

import math
from collections.abc import Mapping
from typing import Any, Final

import torch

from latentry.errors import ConfigurationError

# What diffusers' classes take where a config leaves the betas out: start, end and schedule.
_DEFAULT: Final = (1e-4, 0.02, "linear")
_DEFAULTS: Final = {
    **dict.fromkeys(
        (
            "DPMSolverSDEScheduler",
            "HeunDiscreteScheduler",
            "KDPM2AncestralDiscreteScheduler",
            "KDPM2DiscreteScheduler",
        ),
        (0.00085, 0.012, "linear"),
    ),
    "LCMScheduler": (0.00085, 0.012, "scaled_linear"),
    "TCDScheduler": (0.00085, 0.012, "scaled_linear"),
}


def betas_of(config: Mapping[str, Any]) -> torch.Tensor:
    """β_t [timesteps] in float32, as in diffusers, so that both start from the same bits.

    Raises ConfigurationError for an unknown schedule.
    """
    start, end, kind = _DEFAULTS.get(config.get("_class_name", ""), _DEFAULT)
    start, end = config.get("beta_start", start), config.get("beta_end", end)
    count = int(config.get("num_train_timesteps", 1000))
    if trained := config.get("trained_betas"):
        return torch.tensor(trained, dtype=torch.float32)
    match config.get("beta_schedule", kind):
        case "linear":
            return torch.linspace(start, end, count, dtype=torch.float32)
        case "scaled_linear":
            return torch.linspace(start**0.5, end**0.5, count, dtype=torch.float32) ** 2
        case "squaredcos_cap_v2":
            return _cosine_betas(count)
        case other:
            raise ConfigurationError(
                f"The model's scheduler has beta_schedule={other!r}, which is not supported."
            )


def _cosine_betas(count: int) -> torch.Tensor:
    """Nichol & Dhariwal 2021 (arXiv:2102.09672), equation 17."""

    def alpha_bar(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [
        min(1 - alpha_bar((i + 1) / count) / alpha_bar(i / count), 0.999) for i in range(count)
    ]
    return torch.tensor(betas, dtype=torch.float32)


def with_zero_terminal_snr(betas: torch.Tensor) -> torch.Tensor:
    """β_t [timesteps] of which the last level is pure noise: Lin et al. 2023, algorithm 1.

    arXiv:2305.08891; diffusers' rescale_zero_terminal_snr.
    """
    signal = torch.cumprod(1.0 - betas, dim=0).sqrt()
    first, last = signal[0].clone(), signal[-1].clone()
    signal -= last
    signal *= first / (first - last)
    alphas_cumprod = signal**2
    return 1 - torch.cat([alphas_cumprod[:1], alphas_cumprod[1:] / alphas_cumprod[:-1]])
