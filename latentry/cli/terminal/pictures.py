"""Pictures in a terminal: a file as what kitty, iTerm2, sixel terminals and all others draw.

kitty takes PNG, iTerm2 any file; the others take pixels, for which Pillow is needed. Where it is
missing there is no picture, and nothing is said of it.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image as Pillow

PNG: Final = b"\x89PNG\r\n"
KITTY_CHUNK: Final = 4096  # bytes of base64 in one escape sequence, by the protocol
_COLOURS: Final = 255  # of a sixel picture; terminals have 256 registers
_BAND: Final = 6  # rows of one line of sixels


class Protocol(StrEnum):
    """How a terminal is told to draw a picture; `blocks`: as coloured half blocks."""

    KITTY = "kitty"
    ITERM2 = "iterm2"
    SIXEL = "sixel"
    BLOCKS = "blocks"


@dataclass(frozen=True, slots=True)
class Box:
    """Room in cells, and the pixels of one: twice as high as wide, if the terminal says nothing."""

    columns: int
    rows: int
    cell: tuple[int, int] = (10, 20)

    def fit(self, size: tuple[int, int]) -> "Box":
        """The part of it that a picture of this size in pixels fills."""
        width, height = size
        scale = min(self.columns * self.cell[0] / width, self.rows * self.cell[1] / height)
        columns = max(1, round(width * scale / self.cell[0]))
        return Box(columns, max(1, round(height * scale / self.cell[1])), self.cell)


def escape(protocol: Protocol, data: bytes, box: Box, number: int) -> str | None:
    """What draws the file of a picture at the cursor; None if it cannot be.

    `number`: kitty replaces the picture of the same number.
    """
    match protocol:
        case Protocol.KITTY:
            png = data if data.startswith(PNG) else _as_png(data)
            return "".join(_kitty(png, box, number)) if png else None
        case Protocol.ITERM2:
            size = f"width={box.columns};height={box.rows};preserveAspectRatio=1"
            name = f"inline=1;size={len(data)};{size}"
            return f"\x1b]1337;File={name}:{base64.b64encode(data).decode()}\x07"
        case Protocol.SIXEL:
            pixels = opened(data, (box.columns * box.cell[0], box.rows * box.cell[1]))
            return "".join(_sixel(pixels)) if pixels else None
        case Protocol.BLOCKS:
            return None  # cells of text, which `blocks` has


def blocks(data: bytes, box: Box) -> list[list[tuple[tuple[int, ...], tuple[int, ...]]]]:
    """Rows of cells: the colours of the upper and the lower half of each; none without Pillow."""
    pixels = opened(data, (box.columns, box.rows * 2))
    if pixels is None:
        return []
    at = pixels.load()
    assert at is not None, "it was resized, and so read"
    return [
        [(_rgb(at[x, 2 * y]), _rgb(at[x, 2 * y + 1])) for x in range(box.columns)]
        for y in range(box.rows)
    ]


def opened(data: bytes, size: tuple[int, int]) -> "Pillow | None":
    """The picture in RGB at this size; None without Pillow, or if that cannot read it."""
    try:
        from PIL import Image
    except ImportError:
        return None
    try:
        with Image.open(BytesIO(data)) as image:
            return image.convert("RGB").resize(size)
    except (OSError, ValueError):
        return None


def _as_png(data: bytes) -> bytes | None:
    try:
        from PIL import Image
    except ImportError:
        return None
    into = BytesIO()
    try:
        with Image.open(BytesIO(data)) as image:
            image.convert("RGB").save(into, format="PNG")
    except (OSError, ValueError):
        return None
    return into.getvalue()


def _kitty(png: bytes, box: Box, number: int) -> Iterator[str]:
    text = base64.b64encode(png).decode()
    # Drawn without moving the cursor, and without answers that would look like typed text.
    keys = f"a=T,f=100,i={number},p=1,c={box.columns},r={box.rows},C=1,q=2,"
    for start in range(0, len(text), KITTY_CHUNK):
        more = int(start + KITTY_CHUNK < len(text))
        yield f"\x1b_G{keys}m={more};{text[start : start + KITTY_CHUNK]}\x1b\\"
        keys = ""


def _sixel(pixels: "Pillow") -> Iterator[str]:
    indexed = pixels.quantize(_COLOURS)
    width, height = indexed.size
    palette, at = indexed.getpalette() or [], indexed.tobytes()
    yield f'\x1bPq"1;1;{width};{height}'
    for colour in range(len(palette) // 3):
        parts = (round(part * 100 / 255) for part in palette[3 * colour : 3 * colour + 3])
        yield f"#{colour};2;{';'.join(map(str, parts))}"
    for top in range(0, height, _BAND):
        rows = [at[y * width : (y + 1) * width] for y in range(top, min(top + _BAND, height))]
        for colour in sorted(set(b"".join(rows))):
            bits = (
                sum((row[x] == colour) << bit for bit, row in enumerate(rows)) for x in range(width)
            )
            yield f"#{colour}{_run_lengths(bytes(63 + one for one in bits))}$"
        yield "-"
    yield "\x1b\\"


def _run_lengths(sixels: bytes) -> str:
    found, start = [], 0
    while start < len(sixels):
        end = start
        while end < len(sixels) and sixels[end] == sixels[start]:
            end += 1
        count, character = end - start, chr(sixels[start])
        found.append(f"!{count}{character}" if count > 3 else character * count)
        start = end
    return "".join(found)


def _rgb(pixel: object) -> tuple[int, ...]:
    assert isinstance(pixel, tuple), "it is RGB"
    return pixel
