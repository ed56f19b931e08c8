"""How far a ratio that was measured in several rounds can be trusted. Pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from scipy.special import stdtrit  # type: ignore[import-untyped]

CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio and its 95 % interval."""

    ratio: float
    low: float
    high: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Self:
        """From one ratio per round: the geometric mean, and Student's t on the logarithms.

        Both sides of a ratio come from the same round, so what changes from round to round
        cancels. Raises ValueError with fewer than two rounds, or where one has no ratio.
        """
        if len(ratios) < 2 or not all(math.isfinite(ratio) and ratio > 0 for ratio in ratios):
            raise ValueError("An interval needs a ratio from each of at least two rounds.")
        logarithms = [math.log(ratio) for ratio in ratios]
        mean = statistics.mean(logarithms)
        error = statistics.stdev(logarithms) / math.sqrt(len(ratios))
        reach = float(stdtrit(len(ratios) - 1, (1 + CONFIDENCE) / 2)) * error
        return cls(math.exp(mean), math.exp(mean - reach), math.exp(mean + reach))
