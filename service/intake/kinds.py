"""What a file is, by its first bytes, and whether a C2PA manifest may be in it."""

from typing import Final

from latentry.errors import UnsupportedImage

_KINDS: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (8, b"WEBP", "image/webp"),
    (0, b"GIF8", "image/gif"),
    (4, b"ftyp", "video/mp4"),
)


def content_type_of(data: bytes) -> str:
    """The media type of a picture or clip that may be examined. Raises UnsupportedImage."""
    for at, mark, content_type in _KINDS:
        if data[at : at + len(mark)] == mark:
            return content_type
    raise UnsupportedImage("The file must be a PNG, JPEG, WebP, GIF or MP4.")


def has_manifest(data: bytes) -> bool:
    """Whether it has to be looked for: all of them lie in JUMBF boxes with this label."""
    return b"jumb" in data and b"c2pa" in data
