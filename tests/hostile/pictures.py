"""Pictures to send: honest ones, and those that lie."""

import io
import struct
import zlib
from typing import Any

from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP")


def painted(size: tuple[int, int] = (40, 24), mode: str = "RGB") -> Image.Image:
    """Red above, blue below, so that a turn shows."""
    image = Image.new("RGB", size, (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, size[0], size[1] // 2))
    return image.convert(mode)


def encoded(form: str, *, size: tuple[int, int] = (40, 24), mode: str = "RGB", **how: Any) -> bytes:
    """A painted picture as a file."""
    file = io.BytesIO()
    painted(size, mode).save(file, form, **how)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    *,
    width: int = 1,
    height: int = 1,
    depth: int = 8,
    colour: int = 2,
    before: bytes = b"",
    pixels: bytes = b"\0\0\0\0",
) -> bytes:
    """A PNG put together by hand."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def jpeg_claiming(width: int, height: int) -> bytes:
    """A small JPEG that says it is larger."""
    data = bytearray(encoded("JPEG", size=(16, 16)))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def animated(form: str) -> bytes:
    """Three frames."""
    file = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (60 * i, 0, 0)) for i in range(3)]
    frames[0].save(file, form, save_all=True, append_images=frames[1:])
    return file.getvalue()
