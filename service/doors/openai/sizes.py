"""OpenAI's sizes: what its clients send unasked is a wish, and any other size is meant."""

import math
import re
from typing import Final

from latentry.contracts import Limits
from latentry.errors import InvalidRequest

Size = tuple[int, int]  # width and height in pixels

_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
# Of dall-e-2, dall-e-3, gpt-image-1 and gpt-image-2, as OpenAI's reference lists them.
_DOCUMENTED: Final = frozenset(
    {
        *("256x256", "512x512", "1024x1024", "1792x1024", "1024x1792", "1536x1024", "1024x1536"),
        *("2048x2048", "2048x1152", "3840x2160", "2160x3840"),
    }
)


def drawn_size(size: str, limits: Limits, *, is_exact: bool) -> Size:
    """The size to draw for one that is asked for. Raises InvalidRequest.

    `is_exact`: the client has chosen a model, and so can know its sizes.
    """
    if is_exact or size not in _DOCUMENTED:
        return _sides(size)
    return nearest(_sides(size), limits)


def _sides(size: str) -> Size:
    if not (found := _SIZE.fullmatch(size)):
        why = "`size` must be `auto` or WIDTHxHEIGHT, such as 512x512."
        raise InvalidRequest(why, fields={"/size": why})
    return int(found[1]), int(found[2])


def nearest(wished: Size, limits: Limits) -> Size:
    """The size nearest to this one that the model can, in its proportions as far as they go."""
    scale = min(1.0, limits.max_side / max(wished))
    scale = max(scale, limits.min_side / min(wished))
    step = limits.size_step
    least = math.ceil(limits.min_side / step) * step
    most = limits.max_side // step * step
    width, height = (min(max(round(side * scale / step) * step, least), most) for side in wished)
    return width, height
