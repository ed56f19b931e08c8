"""Sizes that a model can draw, for those that clients of other APIs ask for."""

import math

from latentry.contracts import Limits

Size = tuple[int, int]  # width and height in pixels


def nearest(wished: Size, limits: Limits) -> Size:
    """The size nearest to this one that the model can, in its proportions as far as they go."""
    scale = min(1.0, limits.max_side / max(wished))
    scale = max(scale, limits.min_side / min(wished))
    step = limits.size_step
    least = math.ceil(limits.min_side / step) * step
    most = limits.max_side // step * step
    width, height = (min(max(round(side * scale / step) * step, least), most) for side in wished)
    return width, height
