"""Ends what is overdue, once a second, in every gateway; several sweepers do no harm."""

import asyncio
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

import structlog

from latentry.errors import LatentryError
from latentry.jobs import AsyncLedger, JobRef, commands
from latentry.settings import Settings
from latentry.storage import Storage, prefix_of
from service.catalogue import Catalogue
from service.dispatch import Bell
from service.metrics import Metrics

log = structlog.get_logger()

EVERY_S: Final = 1.0
_ORPHANS_EVERY_S: Final = 3_600.0


class Sweeper:
    """Leases, deadlines and retention; the bells of silent lines; the figures of all lines."""

    def __init__(
        self,
        settings: Settings,
        ledger: AsyncLedger,
        storage: Storage,
        bell: Bell,
        catalogue: Catalogue,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._storage = storage
        self._bell = bell
        self._catalogue = catalogue
        self._metrics = metrics
        self._orphans_due = monotonic() + _ORPHANS_EVERY_S

    async def run(self) -> None:
        """Sweep until cancelled, through every outage."""
        while True:
            try:
                await self.sweep()
            except LatentryError as error:
                log.warning("sweep.failed", code=error.code)
            except Exception:
                log.exception("sweep.broke")
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> None:
        """One round."""
        swept = await self._ledger.run(commands.sweep(lease_s=self._settings.lease_s))
        for model in swept.silent_lines:
            self._bell.ring_soon(model)
        for ref in swept.forgettable:
            await self._forget(ref)
        self._metrics.stand(await self._catalogue.read())
        if monotonic() >= self._orphans_due:
            self._orphans_due = monotonic() + _ORPHANS_EVERY_S
            await self._clear_orphans()

    async def _forget(self, ref: JobRef) -> None:
        # The pictures first: while the record stands, somebody comes back for them.
        await asyncio.to_thread(self._storage.delete_prefix, prefix_of(ref.tenant, ref.id))
        await self._ledger.run(commands.forget(ref))
        log.info("job.forgotten", job=ref.id)

    async def _clear_orphans(self) -> None:
        # What a worker uploaded for a job that was deleted under its hands.
        life = timedelta(seconds=self._settings.queue_ttl_s + self._settings.result_ttl_s, hours=1)
        count = await asyncio.to_thread(self._storage.delete_older, datetime.now(UTC) - life)
        log.info("storage.swept", deleted=count)
