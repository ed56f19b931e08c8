"""Quantiles of the symmetric beta distribution, which neither numpy nor torch has."""

import math
from typing import Final

_TERMS: Final = 64  # at x ≤ 1/2, the series' 64th term is below 2⁻⁶⁴ of its first
_ITERATIONS: Final = 6  # quadratic; at a = 0.6 four reach the last digits for every p


def symmetric_beta_quantile(p: float, a: float) -> float:
    """x with I_x(a, a) = p, where I is the regularised incomplete beta function; a < 1.

    For x ≤ 1/2 by Newton's method in y = xᵃ, where the series has positive terms only, is convex,
    and from the right cannot be overshot; above by symmetry.
    """
    if p > 0.5:
        return 1 - symmetric_beta_quantile(1 - p, a)
    area = p * math.gamma(a) ** 2 / math.gamma(2 * a)
    y = a * area
    for _ in range(_ITERATIONS):
        x = y ** (1 / a)
        slope = (1 - x) ** (a - 1) / a
        y -= (_incomplete_beta(x, a) - area) / slope
    return float(y ** (1 / a))


def _incomplete_beta(x: float, a: float) -> float:
    """B_x(a, a) = xᵃ Σ (1 − a)ₙ xⁿ / (n! (a + n)); DLMF 8.17.7."""
    coefficient, total = 1.0, 0.0
    for n in range(_TERMS):
        total += coefficient / (a + n)
        coefficient *= (1 - a + n) * x / (n + 1)
    return float(x**a * total)
