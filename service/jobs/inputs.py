"""The pictures that a request brings, as files of its tenant."""

import asyncio
import base64
import binascii
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar, cast

from latentry.contracts import (
    CaptionRequest,
    ClipRequest,
    ControlRequest,
    GenerationRequest,
    InputFile,
    InterpolationRequest,
    UpscaleRequest,
)
from latentry.contracts.fields.places import pictures, with_pictures
from latentry.errors import (
    BrokenImage,
    Busy,
    FileNotFound,
    ImageTooLarge,
    InvalidRequest,
    UnsupportedImage,
)
from latentry.ledger.files import PREFIX as FILE_PREFIX
from latentry.ledger.files import FileRecord, FileRef
from service.jobs.files import Files
from service.outbound import Outbound

Request: TypeAlias = (
    GenerationRequest
    | InterpolationRequest
    | UpscaleRequest
    | ClipRequest
    | ControlRequest
    | CaptionRequest
)
R = TypeVar("R", bound=Request)

FETCHES: Final = 32
FETCHES_PER_TENANT: Final = 8
_DATA: Final = re.compile(r"data:(image/(?:png|jpeg|webp)|application/octet-stream)?;base64,")
_PIECE_CHARS: Final = 4 * 256 * 1024


@dataclass(frozen=True, slots=True)
class Brought:
    """A request's pictures by their places, and the files that were made for them."""

    files: Mapping[str, InputFile]
    made: tuple[FileRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Inputs:
    """Finds, decodes or fetches the pictures that requests name."""

    files: Files
    outbound: Outbound
    max_bytes: int
    _fetching: Counter[str] = field(default_factory=Counter)

    async def find(self, tenant: str, request: Request) -> Brought:
        """What can be known without storing anything; what has no file yet has an empty id.

        Raises UrlNotAllowed, UnsupportedImage or ImageTooLarge, with the field's name.
        """
        found = {}
        for name, reference in named(request).items():
            with _at(name):
                found[name] = await self._find(tenant, reference)
        return Brought(found)

    async def bring(self, tenant: str, request: Request, found: Brought) -> Brought:
        """Make files of what was sent with the request, and of what it names by URL.

        Raises, with the field's name, what `find` and `Files.keep` do, FetchFailed or Busy; then
        nothing is kept.
        """
        kept: dict[str, FileRecord] = {}
        try:
            for name, reference in named(request).items():
                if found.files[name].file or reference in kept:
                    continue
                with _at(name):
                    kept[reference] = await self._keep(tenant, reference)
        except BaseException:
            await self.discard(Brought({}, tuple(record.ref for record in kept.values())))
            raise
        files = {
            name: _input_of(kept[reference]) if reference in kept else found.files[name]
            for name, reference in named(request).items()
        }
        return Brought(files, tuple(record.ref for record in kept.values()))

    async def discard(self, brought: Brought) -> None:
        """Delete the files that were made: no job was."""
        for ref in brought.made:
            await self.files.delete(ref)

    async def _find(self, tenant: str, reference: str) -> InputFile:
        if reference.startswith(FILE_PREFIX):
            try:
                return _input_of(await self.files.record(tenant, reference))
            except FileNotFound:
                # The ledger refuses it, unless the request repeats one whose job is there already.
                return InputFile(file=reference, pixel_sha256="", width=0, height=0)
        if reference.startswith("data:"):
            start = _start(reference)
            if (len(reference) - start) * 3 // 4 > self.max_bytes + 2:
                raise ImageTooLarge(f"The picture is larger than {self.max_bytes} bytes.")
        else:
            self.outbound.read(reference)
        return InputFile(file="", pixel_sha256="", width=0, height=0)

    async def _keep(self, tenant: str, reference: str) -> FileRecord:
        if reference.startswith("data:"):
            return await self.files.keep(tenant, await asyncio.to_thread(_decoded, reference))
        async with self._fetched(tenant, reference) as data:
            # What was fetched counts until it is decoded: no body's bound knows of it.
            return await self.files.keep(tenant, data)

    @asynccontextmanager
    async def sent(self, tenant: str, reference: str) -> AsyncIterator[bytes]:
        """The bytes of a picture named by a `data:` or `https:` URL, which are not kept.

        Raises UrlNotAllowed, UnsupportedImage, ImageTooLarge, BrokenImage, FetchFailed or Busy.
        """
        await self._find(tenant, reference)
        if reference.startswith("data:"):
            yield await asyncio.to_thread(_decoded, reference)
        else:
            async with self._fetched(tenant, reference) as data:
                yield data

    @asynccontextmanager
    async def _fetched(self, tenant: str, reference: str) -> AsyncIterator[bytes]:
        if self._fetching.total() >= FETCHES or self._fetching[tenant] >= FETCHES_PER_TENANT:
            raise Busy("Too many pictures are being fetched; try again later.")
        self._fetching[tenant] += 1
        try:
            yield await self.outbound.get(reference, max_bytes=self.max_bytes)
        finally:
            self._fetching.subtract([tenant])
            if not self._fetching[tenant]:
                del self._fetching[tenant]


def named(request: Request) -> dict[str, str]:
    """The pictures that a request names, by place; those of keyframes by `from/image`."""
    if isinstance(request, InterpolationRequest):
        return {
            f"{at}/{name}": one
            for at, keyframe in request.keyframes().items()
            for name, one in named(keyframe).items()
        }
    return pictures(request)


def without_pictures(request: R) -> R:
    """The same request with no picture named."""
    if isinstance(request, InterpolationRequest):
        changed = {at: without_pictures(one) for at, one in request.keyframes().items()}
        return cast(R, request.with_keyframes(changed))
    # In the entry of a list a picture is a text, and never null.
    nothing = {place: "" if "/" in place else None for place in pictures(request)}
    return with_pictures(request, nothing)


def _input_of(record: FileRecord) -> InputFile:
    return InputFile(
        file=record.ref.id,
        pixel_sha256=record.pixel_sha256,
        width=record.width,
        height=record.height,
        c2pa=record.c2pa,
    )


def _start(reference: str) -> int:
    """Where the base64 of a `data:` URL begins. Raises UnsupportedImage."""
    head = _DATA.match(reference)
    if head is None:
        raise UnsupportedImage(
            "A data: URL must be base64 of a PNG, JPEG or WebP picture: data:image/png;base64,…"
        )
    return head.end()


def _decoded(reference: str) -> bytes:
    """The bytes of a `data:` URL. Raises BrokenImage."""
    data = bytearray()
    try:
        # In pieces, as each call keeps all other threads waiting.
        for at in range(_start(reference), len(reference), _PIECE_CHARS):
            piece = reference[at : at + _PIECE_CHARS]
            data += base64.b64decode(piece, validate=True)
    except (binascii.Error, ValueError):
        raise BrokenImage("The data: URL is not valid base64.") from None
    return bytes(data)


@contextmanager
def _at(name: str) -> Iterator[None]:
    """What is wrong with a picture is wrong with its field."""
    try:
        yield
    except InvalidRequest as error:
        error.fields = error.fields or {f"/{name}": error.message}
        raise
