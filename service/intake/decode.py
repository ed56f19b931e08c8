"""From a caller's bytes to a PNG of ours: header checked, decoded in a sandboxed process."""

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from latentry.contracts import C2pa, C2paState, Watermark
from latentry.errors import BrokenImage, Busy, ImageTooLarge
from latentry.provenance.confined.process import Examined, Said, can_detect, detect, examine
from latentry.provenance.signing.chain import KnownSigners
from service.intake.header import Header, PictureFormat, read_header
from service.intake.kinds import content_type_of, has_manifest

T = TypeVar("T")

DECODER: Final = Path(__file__).with_name("decoder.py")
# A process for each picture: it starts in 60 ms, and a codec that is taken over ends with it.
PROCESSES: Final = 2
QUEUED: Final = 126  # their bytes are bounded where bodies are received
DIGEST_BYTES: Final = 32
DECODE_WITHIN_S: Final = 30.0
MAX_SIDE_PX: Final = 16_383  # of WebP, in which a picture of its size may be stored again


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that is safe to store: PNG, upright, 8-bit RGB or RGBA in sRGB, no metadata.

    `sha256` is of the file, `pixel_sha256` of its RGB or RGBA bytes, row by row. `origin`: what
    the manifest that it came with says, if it had one.
    """

    png: bytes
    sha256: str
    pixel_sha256: str
    width: int
    height: int
    origin: Examined | None = None


class _Turns:
    """So many threads; QUEUED more calls may wait, half of all of one tenant."""

    def __init__(self, threads: int, name: str) -> None:
        self._at_once = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._inside: Counter[str] = Counter()

    async def run(self, tenant: str, work: Callable[..., T], *args: object) -> T:
        """What it returns. Raises Busy or what it raises."""
        places = self._at_once + QUEUED
        if self._inside.total() >= places or self._inside[tenant] >= max(places // 2, 1):
            raise Busy("Too many pictures are being decoded; try again later.")
        self._inside[tenant] += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, work, *args)
        finally:
            self._inside[tenant] -= 1
            self._inside += Counter()  # drops tenants at zero

    def close(self) -> None:
        """Stop: calls that wait are not made."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Intake:
    """Decodes PROCESSES pictures at a time, and examines one."""

    def __init__(self, max_pixels: int, known: KnownSigners | None = None) -> None:
        self._max_pixels = max_pixels
        self._known = known or KnownSigners()
        self._decoding = _Turns(PROCESSES, "intake")
        # By itself, and one: a file to examine may take half a minute, and no upload waits for it.
        self._examining = _Turns(1, "examiner")

    async def take(
        self, data: bytes, tenant: str = "", store: Callable[[Picture], None] = lambda _: None
    ) -> Picture:
        """Decode a picture of a tenant's, and store it in the same thread.

        So few decoded pictures are in memory at once, however slow the storage is. Raises
        UnsupportedImage, ImageTooLarge, BrokenImage, Busy or what `store` raises.
        """
        header = self._checked_header(data)
        return await self._decoding.run(tenant, self._take, data, header, store)

    async def examine(self, data: bytes, tenant: str = "") -> tuple[str, Said, Watermark | None]:
        """A file's media type, what it says of its origin, its watermark; nothing of it is kept.

        Raises UnsupportedImage, BrokenImage or Busy.
        """
        content_type = content_type_of(data)
        found = await self._examining.run(tenant, examine, data, content_type, self._known)
        said = found.said
        if said.c2pa.state is C2paState.INVALID and not has_manifest(data):  # the file is damaged
            said = said.model_copy(update={"c2pa": C2pa()})
        if not (can_detect() and content_type.startswith("image/")):
            return content_type, said, None
        mark = await self._examining.run(tenant, detect, data, self._max_pixels)
        return content_type, said, mark

    def _take(self, data: bytes, header: Header, store: Callable[[Picture], None]) -> Picture:
        png, digest, pixel_digest = decode(data, header)
        kept = self._checked_header(png)  # the decoder's output is not trusted either
        if kept.format is not PictureFormat.PNG:
            raise BrokenImage
        origin = self._origin(data) if has_manifest(data) else None
        picture = Picture(png, digest, pixel_digest, kept.width, kept.height, origin)
        store(picture)
        return picture

    def _origin(self, data: bytes) -> Examined:
        try:
            return examine(data, content_type_of(data), self._known, keep=True)
        except BrokenImage:  # its manifest took the process along; the picture is fine
            broken = C2pa(state=C2paState.INVALID, codes=("manifest.unreadable",))
            return Examined(Said(c2pa=broken))

    def close(self) -> None:
        """Stop: pictures that wait are not decoded."""
        self._decoding.close()
        self._examining.close()

    def _checked_header(self, data: bytes) -> Header:
        header = read_header(data)
        if header.pixels > self._max_pixels or max(header.width, header.height) > MAX_SIDE_PX:
            raise ImageTooLarge(
                f"The picture has {header.width} × {header.height} pixels; at most"
                f" {self._max_pixels} in total and {MAX_SIDE_PX} a side are allowed."
            )
        return header


def decode(data: bytes, header: Header) -> tuple[bytes, str, str]:
    """The picture as PNG, the SHA-256 of that and of its pixels. Raises BrokenImage. Blocks."""
    # Files instead of pipes: the kernel limits their size, and neither side waits for the other.
    max_bytes = header.pixels * 5 + 1_000_000  # RGBA, PNG filter bytes and zlib overhead
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as result:
        source.write(data)
        source.seek(0)
        try:
            ended = subprocess.run(  # noqa: S603 - our own program; arguments are a format and numbers
                [sys.executable, "-I", DECODER, header.format, str(header.pixels), str(max_bytes)],
                stdin=source,
                stdout=result,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                timeout=DECODE_WITHIN_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BrokenImage("The picture takes too long to decode.") from None
        if ended.returncode:
            raise BrokenImage
        result.seek(0)
        pixel_digest = result.read(DIGEST_BYTES).hex()
        png = result.read(max_bytes)
    return png, sha256(png).hexdigest(), pixel_digest  # in this thread: 64 MiB take 0.3 s
