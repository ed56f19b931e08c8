"""Sizes: those that OpenAI's clients send unasked are wishes, others are meant."""

import re
from typing import Final

from latentry.contracts import Limits
from latentry.errors import InvalidRequest
from service.doors.sizes import Size, nearest

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
