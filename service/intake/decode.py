"""A caller's picture as our own: header vetted, decoded by a confined process, kept as PNG."""

import asyncio
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from latentry.errors import BrokenImage, Busy, ImageTooLarge
from service.intake.header import Header, PictureFormat, read_header

_DECODER: Final = Path(__file__).with_name("decoder.py")
# A process for each picture: one starts in 60 ms, and nothing a picture did outlives it.
_AT_ONCE: Final = 2
_WAITING: Final = 8
_WITHIN_S: Final = 30.0
_MAX_SIDE: Final = 16_384


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that is safe to keep: PNG, upright, RGB or RGBA, nothing beside its pixels."""

    png: bytes
    sha256: str
    width: int
    height: int


class Intake:
    """Decodes a few pictures at once and lets a few more wait."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="intake")
        self._inside = 0

    async def take(self, data: bytes) -> Picture:
        """One picture. Raises UnsupportedImage, ImageTooLarge, BrokenImage or Busy."""
        header = self._vetted(data)
        if self._inside >= _AT_ONCE + _WAITING:
            raise Busy("Too many pictures are being read; try again later.")
        self._inside += 1
        try:
            loop = asyncio.get_running_loop()
            png, digest = await loop.run_in_executor(self._threads, _decode, data, header)
        finally:
            self._inside -= 1
        kept = self._vetted(png)  # what comes out of the decoder is no more to be trusted
        if kept.format is not PictureFormat.PNG:
            raise BrokenImage
        return Picture(png, digest, kept.width, kept.height)

    def close(self) -> None:
        """Take no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _vetted(self, data: bytes) -> Header:
        header = read_header(data)
        if header.pixels > self._max_pixels or max(header.width, header.height) > _MAX_SIDE:
            raise ImageTooLarge(
                f"The picture has {header.width} × {header.height} pixels; {self._max_pixels} in"
                f" all and {_MAX_SIDE} a side are allowed."
            )
        return header


def _decode(data: bytes, header: Header) -> tuple[bytes, str]:
    # Files instead of pipes: the kernel bounds what the process can write, and nobody waits.
    written = header.pixels * 5 + 1_000_000  # RGBA, its filter bytes, and zlib's own
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as made:
        told.write(data)
        told.seek(0)
        try:
            ended = subprocess.run(  # noqa: S603 - our own program, and numbers
                [sys.executable, "-I", _DECODER, header.format, str(header.pixels), str(written)],
                stdin=told,
                stdout=made,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                timeout=_WITHIN_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BrokenImage("The picture takes too long to decode.") from None
        if ended.returncode:
            raise BrokenImage
        made.seek(0)
        png = made.read(written)
    return png, sha256(png).hexdigest()  # here, for 64 MiB take a third of a second
