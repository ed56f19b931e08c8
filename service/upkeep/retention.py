"""Removes expired jobs, files and pictures, in a task that may wait for slow storage."""

import asyncio
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

import structlog

from latentry.errors import LatentryError
from latentry.ledger import AsyncLedger, JobRef, commands, files
from latentry.settings import Settings
from latentry.storage import Storage, owner_of, prefix_of
from service.upkeep.periodic import every

log = structlog.get_logger()

# More than this and storage is slow or down; a later sweep reports the rest again.
MAX_DUE: Final = 1_000
EVERY_S: Final = 1.0
_FILES_PER_ROUND: Final = 100
_ORPHANS_EVERY_S: Final = 3_600.0


class Retention:
    """Removes due jobs with their pictures, due files, and pictures whose job or file is gone."""

    def __init__(self, settings: Settings, ledger: AsyncLedger, storage: Storage) -> None:
        self._ledger = ledger
        self._storage = storage
        # Longer than any job lives: older pictures without a record are orphans, not unlisted yet.
        life_s = max(settings.queue_ttl_s + settings.longest_kept_s, settings.file_ttl_s)
        self._life = timedelta(seconds=life_s, hours=1)
        self._due: dict[JobRef, None] = {}  # an ordered set
        self._orphans_due = monotonic() + _ORPHANS_EVERY_S

    def note(self, refs: Iterable[JobRef]) -> None:
        """These jobs may be removed."""
        for ref in refs:
            if len(self._due) < MAX_DUE:
                self._due[ref] = None

    async def run(self) -> None:
        """Remove until canceled, through every outage."""
        await every(EVERY_S, self.remove, name="retention")

    async def remove(self) -> None:
        """One round: what is due, and once an hour what is orphaned.

        Raises LedgerUnavailable or StorageUnavailable.
        """
        await self.remove_due_jobs()
        await self.remove_due_files()
        if monotonic() >= self._orphans_due:
            self._orphans_due = monotonic() + _ORPHANS_EVERY_S
            await self.remove_orphans()

    async def remove_due_jobs(self) -> None:
        """Remove every noted job; if one fails, a later sweep reports it again."""
        while self._due:
            ref = next(iter(self._due))
            await self._try("job", ref.id, self._remove_job(ref))
            del self._due[ref]

    async def remove_due_files(self) -> None:
        """Remove expired files; one that fails does not delay the others.

        Raises LedgerUnavailable.
        """
        for ref in await self._ledger.run(files.take_due(_FILES_PER_ROUND)):
            await self._try("file", ref.id, self._remove_file(ref))

    async def remove_orphans(self) -> None:
        """Delete pictures of jobs that were deleted while a worker ran them.

        Raises LedgerUnavailable or StorageUnavailable.
        """
        old = await asyncio.to_thread(self._storage.older, datetime.now(UTC) - self._life)
        deleted = 0
        for ref in {JobRef(*owner_of(key)) for key in old}:
            # A job may have been kept for longer, under earlier settings.
            if not await self._is_known(ref):
                await asyncio.to_thread(self._storage.delete_prefix, prefix_of(ref.tenant, ref.id))
                deleted += 1
        log.info("orphans.removed", jobs=deleted)

    async def _is_known(self, ref: JobRef) -> bool:
        file = files.FileRef.of(ref)
        if file:
            return await self._ledger.run(files.exists(file))
        return await self._ledger.run(commands.get(ref)) is not None

    async def _try(self, kind: str, id: str, removal: Awaitable[None]) -> None:
        try:
            await removal
        except LatentryError as error:
            log.warning(f"{kind}.not_removed", **{kind: id}, code=error.code)
        except Exception:
            log.exception("retention.crashed", **{kind: id})

    async def _remove_file(self, ref: files.FileRef) -> None:
        await asyncio.to_thread(self._storage.delete_prefix, prefix_of(ref.tenant, ref.id))
        await self._ledger.run(files.forget(ref))
        log.info("file.removed", file=ref.id)

    async def _remove_job(self, ref: JobRef) -> None:
        # The pictures first: while the record exists, a failed removal is tried again.
        await asyncio.to_thread(self._storage.delete_prefix, prefix_of(ref.tenant, ref.id))
        await self._ledger.run(commands.forget(ref))
        log.info("job.removed", job=ref.id)
