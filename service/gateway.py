"""Everything a route may use, and what runs beside the routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import Depends, Request

from latentry.errors import JobNotFound
from latentry.ledger import AsyncLedger, JobRecord, JobRef, commands
from latentry.settings import Settings
from latentry.storage import Storage, open_storage
from service.access.auth import Gatekeeper
from service.intake.decode import Intake
from service.jobs.bell import Bell
from service.jobs.catalogue import Catalogue
from service.jobs.endings import Endings
from service.jobs.events import EventHub
from service.jobs.ledger import ImpatientLedger
from service.jobs.views import Views
from service.metrics import Metrics
from service.outbound import Outbound
from service.upkeep.retention import Retention
from service.upkeep.sweeper import Sweeper
from service.webhooks import WebhookSender


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway's parts, wired. Nothing connects before it is needed."""

    settings: Settings
    ledger: AsyncLedger
    storage: Storage
    gatekeeper: Gatekeeper
    catalogue: Catalogue
    bell: Bell
    metrics: Metrics
    event_hub: EventHub
    endings: Endings
    retention: Retention
    sweeper: Sweeper
    views: Views
    outbound: Outbound
    webhook_sender: WebhookSender
    intake: Intake
    stopping: asyncio.Event
    link_secret: bytes | None  # None where the bucket signs its own links

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Wire the parts. Raises ConfigurationError."""
        is_bucket = settings.storage_url.startswith("s3:")
        ledger = ImpatientLedger.open(settings)
        storage = open_storage(settings)
        catalogue = Catalogue(ledger)
        bell = Bell(settings, ledger)
        metrics = Metrics()
        retention = Retention(settings, ledger, storage)
        views = Views(settings, storage)
        outbound = Outbound.open(settings)
        return cls(
            settings=settings,
            ledger=ledger,
            storage=storage,
            gatekeeper=Gatekeeper(settings, ledger),
            catalogue=catalogue,
            bell=bell,
            metrics=metrics,
            event_hub=EventHub(ledger),
            endings=Endings(ledger, metrics),
            retention=retention,
            sweeper=Sweeper(ledger, settings.lease_s, bell, catalogue, retention, metrics),
            views=views,
            outbound=outbound,
            webhook_sender=WebhookSender(ledger, views, outbound, metrics),
            intake=Intake(settings.max_image_pixels),
            stopping=asyncio.Event(),
            link_secret=None if is_bucket else settings.signing_secret(),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen, sweep and clear away while the routes serve."""
        await self.gatekeeper.open()
        parts = (
            self.event_hub,
            self.endings,
            self.sweeper,
            self.retention,
            self.webhook_sender,
        )
        beside = [asyncio.create_task(part.run()) for part in parts]
        try:
            yield
        finally:
            self.stop()
            for task in beside:
                await _ended(task)
            self.intake.close()
            await self.bell.close()
            await self.ledger.close()

    def stop(self) -> None:
        """Begin to leave: not ready any more, and every held request ends."""
        self.stopping.set()
        self.event_hub.close()

    async def record(self, ref: JobRef) -> JobRecord:
        """A job as it stands. Raises JobNotFound."""
        record = await self.ledger.run(commands.get(ref))
        if record is None:
            raise JobNotFound
        return record

    async def after(self, ref: JobRef, wait_s: float) -> JobRecord:
        """A job as it stands at its end, or when the time is up. Raises JobNotFound."""
        if wait_s:
            await self.event_hub.ended(ref, within_s=wait_s)
        return await self.record(ref)


async def _ended(task: asyncio.Task[None]) -> None:
    # In Python 3.11 `wait_for`, which redis-py sends through, now and then swallows a cancellation
    # (python/cpython#86296). So we ask until it is heard.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


async def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


Here = Annotated[Gateway, Depends(_gateway)]
