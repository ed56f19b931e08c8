"""Removes what has had its time, at the pace of the storage and apart from everything else."""

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

log = structlog.get_logger()

# Past this many the storage is behind or away. A later sweep names again what we cannot note now.
ROOM: Final = 1_000
EVERY_S: Final = 1.0
_FILES_AT_ONCE: Final = 100
_ORPHANS_EVERY_S: Final = 3_600.0


class Retention:
    """Due jobs with their pictures, due files, and the pictures whose owner is gone already."""

    def __init__(self, settings: Settings, ledger: AsyncLedger, storage: Storage) -> None:
        self._ledger = ledger
        self._storage = storage
        # Longer than any job, so that what is older was left behind rather than not yet listed.
        self._life = timedelta(
            seconds=max(settings.queue_ttl_s + settings.result_ttl_s, settings.file_ttl_s), hours=1
        )
        self._due: dict[JobRef, None] = {}  # a set in the order of arrival
        self._orphans_due = monotonic() + _ORPHANS_EVERY_S

    def note(self, refs: Iterable[JobRef]) -> None:
        """These jobs may go."""
        for ref in refs:
            if len(self._due) < ROOM:
                self._due[ref] = None

    async def run(self) -> None:
        """Remove until cancelled, through every outage."""
        while True:
            await self.forget_due()
            await self.forget_files()
            if monotonic() >= self._orphans_due:
                self._orphans_due = monotonic() + _ORPHANS_EVERY_S
                await self.clear_orphans()
            await asyncio.sleep(EVERY_S)

    async def forget_due(self) -> None:
        """Forget every job that was noted; one that cannot go now is named again later."""
        while self._due:
            ref = next(iter(self._due))
            await self._tried("job", ref.id, self._forget(ref))
            del self._due[ref]

    async def forget_files(self) -> None:
        """Forget the files that have had their time; one that cannot go holds up no other."""
        try:
            due = await self._ledger.run(files.due(_FILES_AT_ONCE))
        except LatentryError as error:
            log.warning("files.not_forgotten", code=error.code)
            return
        for ref in due:
            await self._tried("file", ref.id, self._forget_file(ref))

    async def clear_orphans(self) -> None:
        """Delete what a worker uploaded for a job that was deleted under its hands."""
        try:
            old = await asyncio.to_thread(self._storage.older, datetime.now(UTC) - self._life)
            deleted = 0
            for ref in {JobRef(*owner_of(key)) for key in old}:
                # The settings may have changed: a job may be kept for longer than one gets today.
                if not await self._is_known(ref):
                    await asyncio.to_thread(
                        self._storage.delete_prefix, prefix_of(ref.tenant, ref.id)
                    )
                    deleted += 1
            log.info("storage.swept", jobs=deleted)
        except LatentryError as error:
            log.warning("storage.not_swept", code=error.code)
        except Exception:
            log.exception("retention.broke")

    async def _is_known(self, ref: JobRef) -> bool:
        file = files.FileRef.of(ref)
        if file:
            return await self._ledger.run(files.get(file)) is not None
        return await self._ledger.run(commands.get(ref)) is not None

    async def _tried(self, what: str, id: str, forgetting: Awaitable[None]) -> None:
        try:
            await forgetting
        except LatentryError as error:
            log.warning(f"{what}.not_forgotten", **{what: id}, code=error.code)
        except Exception:
            log.exception("retention.broke", **{what: id})

    async def _forget_file(self, ref: files.FileRef) -> None:
        await asyncio.to_thread(self._storage.delete_prefix, prefix_of(ref.tenant, ref.id))
        await self._ledger.run(files.forget(ref))
        log.info("file.forgotten", file=ref.id)

    async def _forget(self, ref: JobRef) -> None:
        # The pictures first: while the record stands, somebody comes back for them.
        await asyncio.to_thread(self._storage.delete_prefix, prefix_of(ref.tenant, ref.id))
        await self._ledger.run(commands.forget(ref))
        log.info("job.forgotten", job=ref.id)
