"""A picture's format and size from its header, so that limits apply before any codec runs.

PNG: https://www.w3.org/TR/png-3. JPEG: ITU T.81, annex B. WebP: RFC 9649.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from latentry.errors import BrokenImage, UnsupportedImage

# More chunks or segments than pictures have before their pixels.
_MAX_PARTS: Final = 4_096
_PNG: Final = b"\x89PNG\r\n\x1a\n"
# Colour type to its possible bit depths.
_PNG_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_JPEG_FRAMES: Final = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive; all with Huffman codes
_JPEG_RARE: Final = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))


class PictureFormat(StrEnum):
    """The formats that are accepted. Values are Pillow's names."""

    PNG = "PNG"
    JPEG = "JPEG"
    WEBP = "WEBP"


@dataclass(frozen=True, slots=True)
class Header:
    """A picture's format and size in pixels, as its header says."""

    format: PictureFormat
    width: int
    height: int

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


def read_header(data: bytes) -> Header:
    """The header of one still picture. Raises UnsupportedImage or BrokenImage."""
    read, form = _reader(data)
    try:
        width, height = read(data)
    except (IndexError, struct.error):
        raise BrokenImage("The picture ends within its header.") from None
    if not (width and height):
        raise BrokenImage("The picture's width or height is 0.")
    return Header(form, width, height)


def _reader(data: bytes) -> tuple[Callable[[bytes], tuple[int, int]], PictureFormat]:
    if data.startswith(_PNG):
        return _png, PictureFormat.PNG
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg, PictureFormat.JPEG
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp, PictureFormat.WEBP
    raise UnsupportedImage


def _png(data: bytes) -> tuple[int, int]:
    at = len(_PNG)
    length, kind = struct.unpack_from(">I4s", data, at)
    if length != 13 or kind != b"IHDR":
        raise BrokenImage("The PNG does not begin with its header.")
    width, height, depth, colour, *methods = struct.unpack_from(">IIBBBBB", data, at + 8)
    [checksum] = struct.unpack_from(">I", data, at + 21)
    is_known = methods in ([0, 0, 0], [0, 0, 1])  # compression, filter, interlace
    is_valid = depth in _PNG_DEPTHS.get(colour, ()) and is_known
    if checksum != zlib.crc32(data[at + 4 : at + 21]) or not is_valid:
        raise BrokenImage("The PNG's header is damaged.")
    for _ in range(_MAX_PARTS):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"acTL":
            raise UnsupportedImage("The PNG is animated; send a still picture.")
        if kind == b"IDAT":
            return width, height
        at += 12 + length
    raise BrokenImage("The PNG has no pixels among its first chunks.")


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(_MAX_PARTS):
        if data[at] != 0xFF:
            raise BrokenImage("The JPEG's segments are damaged.")
        at += 1
        marker = data[at]
        if marker == 0xFF:  # padding; counted, as megabytes of it would block the event loop
            continue
        [length] = struct.unpack_from(">H", data, at + 1)
        if marker in _JPEG_FRAMES:
            return _jpeg_size(data, at + 3)
        if marker in _JPEG_RARE:
            raise UnsupportedImage("The JPEG must be baseline or progressive.")
        if length < 2 or not (marker == 0xC4 or marker in range(0xDB, 0xFF)) or marker == 0xDA:
            raise BrokenImage("The JPEG's pixels come before its header.")
        at += 1 + length
    raise BrokenImage("The JPEG has no header among its first segments.")


def _jpeg_size(data: bytes, at: int) -> tuple[int, int]:
    depth, height, width, components = struct.unpack_from(">BHHB", data, at)
    if depth != 8 or components not in (1, 3, 4) or not height:
        raise UnsupportedImage("The JPEG must have 8 bits, 1, 3 or 4 channels and a known height.")
    return width, height


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        if data[20] & 0x02:
            raise UnsupportedImage("The WebP is animated; send a still picture.")
        wide, high = data[24] | data[25] << 8 | data[26] << 16, data[27:30]
        return wide + 1, (high[0] | high[1] << 8 | high[2] << 16) + 1
    if kind == b"VP8L" and data[20] == 0x2F:
        [bits] = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a" and not data[20] & 1:
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise BrokenImage("The WebP's header is damaged.")
