"""EXIF for formats without text chunks: JPEG and WebP."""

from typing import Final

from PIL import Image

_EXIF_IFD: Final = 0x8769
_USER_COMMENT: Final = 0x9286
# A JPEG's EXIF has 65,533 bytes for all. Above that Pillow raises, and a finished picture was lost.
_MOST: Final = 65_000
_END: Final = 4_000  # of these, for the line of settings


def exif(text: str) -> Image.Exif:
    """EXIF with `text` as its UserComment, byte order and charset as AUTOMATIC1111 writes them."""
    tags = Image.Exif()
    tags.endian = ">"
    tags.get_ifd(_EXIF_IFD)[_USER_COMMENT] = b"UNICODE\0" + _fitting(text).encode("utf-16-be")
    return tags


def _fitting(text: str) -> str:
    """The text; of one that is too long the beginning and the end."""
    units = text.encode("utf-16-be")
    if len(units) <= _MOST:
        return text
    parts = units[: _MOST - _END - 2], units[-_END:]
    return "…".join(part.decode("utf-16-be", errors="ignore") for part in parts)
