"""OpenAI's sizes: what its clients send unasked is a wish, and any other size is meant."""

import math
import re
from typing import Final

from latentry.contracts import Limits
from latentry.errors import InvalidRequest

_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
# Of dall-e-2, dall-e-3, gpt-image-1 and gpt-image-2, as OpenAI's reference lists them.
_DOCUMENTED: Final = frozenset(
    {
        *("256x256", "512x512", "1024x1024", "1792x1024", "1024x1792", "1536x1024", "1024x1536"),
        *("2048x2048", "2048x1152", "3840x2160", "2160x3840"),
    }
)


def is_wish(size: str) -> bool:
    """Whether OpenAI documents this size, so that its clients send it whatever the model."""
    return size in _DOCUMENTED


def sides(size: str) -> tuple[int, int]:
    """Width and height in pixels. Raises InvalidRequest."""
    if not (found := _SIZE.fullmatch(size)):
        why = "`size` must be `auto` or WIDTHxHEIGHT, such as 512x512."
        raise InvalidRequest(why, fields={"/size": why})
    return int(found[1]), int(found[2])


def nearest(wished: tuple[int, int], limits: Limits) -> tuple[int, int]:
    """The size nearest to this one that the model can, in its proportions as far as they go."""
    scale = min(1.0, limits.max_side / max(wished))
    scale = max(scale, limits.min_side / min(wished))
    step = limits.size_step
    least = math.ceil(limits.min_side / step) * step
    most = limits.max_side // step * step
    width, height = (min(max(round(side * scale / step) * step, least), most) for side in wished)
    return width, height
