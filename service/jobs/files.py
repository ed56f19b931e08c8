"""Callers' pictures as files of their tenants: decoded, stored and kept within a quota."""

import asyncio
import re
import secrets
from dataclasses import dataclass
from typing import Final

import structlog

from latentry.contracts import C2pa, C2paState
from latentry.errors import FileNotFound, LatentryError, StorageUnavailable
from latentry.ledger import AsyncLedger, files
from latentry.ledger.files import FileRecord, FileRef
from latentry.provenance.confined.process import Examined, Said
from latentry.settings import Settings
from latentry.storage import Storage, file_key, manifest_key, prefix_of
from service.intake.decode import Intake, Picture

log = structlog.get_logger()

_ID: Final = re.compile(files.PREFIX + r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Files:
    """The files of all tenants."""

    settings: Settings
    ledger: AsyncLedger
    storage: Storage
    intake: Intake

    async def keep(self, tenant: str, data: bytes) -> FileRecord:
        """Decode a picture and store it as a file of the tenant.

        Raises UnsupportedImage, ImageTooLarge, BrokenImage, FileQuotaExceeded or Unavailable.
        """
        ref = FileRef(tenant, f"{files.PREFIX}{secrets.token_hex(16)}")

        def store(picture: Picture) -> None:
            self.storage.put(_key(ref), picture.png)
            if picture.origin is not None:
                self.storage.put(manifest_key(ref.tenant, ref.id), picture.origin.kept)

        # The bytes first, so that every file the ledger lists exists.
        picture = await self.intake.take(data, tenant, store)
        new = files.NewFile(
            ref=ref,
            bytes=len(picture.png) + (len(picture.origin.kept) if picture.origin else 0),
            c2pa=picture.origin.said.c2pa.state if picture.origin else C2paState.NONE,
            sha256=picture.sha256,
            pixel_sha256=picture.pixel_sha256,
            width=picture.width,
            height=picture.height,
        )
        keep = files.keep(
            new,
            ttl_ms=self.settings.file_ttl_s * 1000,
            max_files=self.settings.max_files,
            max_bytes=self.settings.max_files_bytes,
        )
        try:
            return await self.ledger.run(keep)
        except LatentryError:
            await self._erase(ref)
            raise

    async def record(self, tenant: str, file_id: str) -> FileRecord:
        """A file's record. Raises FileNotFound."""
        is_well_formed = _ID.fullmatch(file_id)
        found = (
            await self.ledger.run(files.get(FileRef(tenant, file_id))) if is_well_formed else None
        )
        if found is None:
            raise FileNotFound
        return found

    async def page(
        self, tenant: str, after: tuple[int, str] | None, limit: int
    ) -> tuple[list[FileRecord], bool]:
        """Files of the tenant, those that expire last first, and whether others follow.

        after: when the last file of the page before expires, and its id. Raises LedgerUnavailable.
        """
        place = None if after is None else (after[0], FileRef(tenant, after[1]))
        found = await self.ledger.run(files.list_files(tenant, after=place, limit=limit + 1))
        return found[:limit], len(found) > limit

    async def content(self, ref: FileRef) -> bytes:
        """The stored picture. Raises FileNotFound."""
        return await asyncio.to_thread(self.storage.get, _key(ref))

    async def origin(self, record: FileRecord) -> Said:
        """What the picture's own manifest said when it came. Raises StorageUnavailable."""
        if not record.c2pa.is_any:
            return Said()
        key = manifest_key(record.ref.tenant, record.ref.id)
        try:
            return Examined.read(await asyncio.to_thread(self.storage.get, key)).said
        except (FileNotFound, ValueError):  # deleted just now, or no longer what we wrote
            return Said(c2pa=C2pa(state=record.c2pa))

    async def delete(self, ref: FileRef) -> None:
        """From here on no request can name it; its bytes stay while a job pins it."""
        if await self.ledger.run(files.delete(ref)):
            try:
                await self._erase(ref)
            except StorageUnavailable:  # retention tries again
                log.warning("file.not_erased", file=ref.id)

    async def _erase(self, ref: FileRef) -> None:
        # The record last: while it exists, a failed removal is tried again.
        await asyncio.to_thread(self.storage.delete_prefix, prefix_of(ref.tenant, ref.id))
        await self.ledger.run(files.forget(ref))


def _key(ref: FileRef) -> str:
    return file_key(ref.tenant, ref.id)
