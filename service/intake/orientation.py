"""Whether a JPEG is shown turned by a quarter, so that its sides change places.

Exif 2.32, 4.6.4: the tag Orientation in the TIFF header of the segment APP1. Phones write it.
"""

import struct
from typing import Final

_MAX_SEGMENTS: Final = 64
_APP1: Final = 0xE1
_EXIF: Final = b"Exif\0\0"
_ORIENTATION: Final = 0x0112
_MAX_TAGS: Final = 256
_TURNED: Final = (5, 6, 7, 8)


def is_turned(data: bytes) -> bool:
    """Whether it is; False where nothing says so, or what says so is damaged."""
    try:
        return data.startswith(b"\xff\xd8\xff") and _orientation(data) in _TURNED
    except struct.error:
        return False


def _orientation(data: bytes) -> int:
    at = 2
    for _ in range(_MAX_SEGMENTS):
        mark, kind, length = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF or length < 2:
            return 0
        if kind == _APP1 and data.startswith(_EXIF, at + 4):
            return _of_tiff(data[at + 4 + len(_EXIF) : at + 2 + length])
        at += 2 + length
    return 0


def _of_tiff(tiff: bytes) -> int:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4], "")
    if not order:
        return 0
    [start] = struct.unpack_from(order + "I", tiff, 4)
    [count] = struct.unpack_from(order + "H", tiff, start)
    for number in range(min(count, _MAX_TAGS)):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * number)
        if (tag, kind) == (_ORIENTATION, 3):
            return int(value)
    return 0
