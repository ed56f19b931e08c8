"""Starting noise between those of two seeds: AUTOMATIC1111's variations (subseeds)."""

from typing import Final

import torch

_PARALLEL: Final = 0.9995


def varied(noise: torch.Tensor, other: torch.Tensor, strength: float) -> torch.Tensor:
    """Unit noise [C, h, w] at `strength` of the way from one noise to the other, on the CPU.

    Spherical interpolation as `slerp` of AUTOMATIC1111's modules/rng.py: of each channel's columns,
    so a column keeps about its length; where the two are nearly parallel on average, linear. Linear
    there goes from `noise` to `other`; A1111's goes the other way, which nearly parallel noises
    hardly show. At 1 it is `other`, bit for bit. In fp64, whose last bits hardly any processor's
    sine changes once they are rounded to fp32.
    """
    if strength == 1:
        return other
    low, high = noise.double(), other.double()
    cosine = torch.nn.functional.cosine_similarity(low, high, dim=1).unsqueeze(1)
    if cosine.mean() > _PARALLEL:
        return torch.lerp(low, high, strength).float()
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    from_low = torch.sin((1 - strength) * angle) / sine
    from_high = torch.sin(strength * angle) / sine
    return (from_low * low + from_high * high).float()
