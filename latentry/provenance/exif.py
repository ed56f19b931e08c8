"""EXIF for formats without text chunks: JPEG and WebP."""

from typing import Final

from PIL import Image

_EXIF_IFD: Final = 0x8769
_USER_COMMENT: Final = 0x9286


def exif(text: str) -> Image.Exif:
    """EXIF with `text` as its UserComment, byte order and charset as AUTOMATIC1111 writes them."""
    tags = Image.Exif()
    tags.endian = ">"
    tags.get_ifd(_EXIF_IFD)[_USER_COMMENT] = b"UNICODE\0" + text.encode("utf-16-be")
    return tags
