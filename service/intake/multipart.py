"""One part of a `multipart/form-data` body (RFC 7578) in memory; its size is limited already."""

import re
from typing import Final

from latentry.errors import MalformedBody

_MAX_PARTS: Final = 16
_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"\r\n]{1,70})"|([!#-+\--:<-~]{1,70}))(?:;|$)')
_NAME: Final = re.compile(rb';\s*name="([^"\r\n]{0,256})"', re.IGNORECASE)


def field(body: bytes, content_type: str, name: str) -> bytes:
    """The content of the part with this name, whatever its other headers. Raises MalformedBody."""
    found = _BOUNDARY.search(content_type)
    if not found:
        raise MalformedBody("The Content-Type has no multipart boundary.")
    mark = b"\r\n--" + (found[1] or found[2]).encode()
    _, *parts = (b"\r\n" + body).split(mark, _MAX_PARTS + 1)
    if not parts or not parts[-1].startswith(b"--") or len(parts) > _MAX_PARTS:
        raise MalformedBody("The multipart body is damaged, or has too many parts.")
    found_parts = [content for part in parts[:-1] for content in _named(part, name.encode())]
    if len(found_parts) != 1:
        raise MalformedBody(f"The multipart body must have exactly one part {name!r}.")
    return found_parts[0]


def _named(part: bytes, name: bytes) -> list[bytes]:
    head, blank, content = part.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-disposition:"):
            found = _NAME.search(line)
            return [content] if blank and found and found[1] == name else []
    return []
