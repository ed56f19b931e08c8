"""The parts of a `multipart/form-data` body (RFC 7578) in memory; its size is limited already."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from latentry.errors import MalformedBody

MAX_PARTS: Final = 128
_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"\r\n]{1,70})"|([!#-+\--:<-~]{1,70}))(?:;|$)')
_NAME: Final = re.compile(rb';\s*name="([^"\r\n]{0,256})"', re.IGNORECASE)
_MAX_HEAD_BYTES: Final = 4 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its name and a view of its content."""

    name: str
    content: memoryview


def parts(body: bytes, content_type: str) -> list[Part]:
    """All parts that have a name, in order, whatever their other headers. Raises MalformedBody."""
    found = _BOUNDARY.search(content_type)
    if not found:
        raise MalformedBody("The Content-Type has no multipart boundary.")
    boundary = b"--" + (found[1] or found[2]).encode()
    return [part for content in _between(body, boundary) if (part := _part(content))]


def field(body: bytes, content_type: str, name: str) -> bytes:
    """The content of the part with this name. Raises MalformedBody."""
    named = [part for part in parts(body, content_type) if part.name == name]
    if len(named) != 1:
        raise MalformedBody(f"The multipart body must have exactly one part {name!r}.")
    return bytes(named[0].content)


def _between(body: bytes, boundary: bytes) -> Iterator[memoryview]:
    # Views, as the parts may be as large as the body.
    view, mark = memoryview(body), b"\r\n" + boundary
    before = -2 if body.startswith(boundary) else body.find(mark)
    for _ in range(MAX_PARTS + 1 if before != -1 else 0):
        at = before + 2 + len(boundary)
        if body.startswith(b"--", at):
            return
        before = body.find(mark, at)
        if before < 0:
            break
        yield view[at:before]
    raise MalformedBody("The multipart body is damaged, or has too many parts.")


def _part(view: memoryview) -> Part | None:
    head = bytes(view[:_MAX_HEAD_BYTES])
    end = head.find(b"\r\n\r\n")
    for line in head[: max(end, 0)].split(b"\r\n"):
        if line.lower().startswith(b"content-disposition:"):
            found = _NAME.search(line)
            return Part(found[1].decode(errors="replace"), view[end + 4 :]) if found else None
    return None
