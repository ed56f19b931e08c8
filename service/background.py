"""The background parts of every gateway process, each in a task of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from service.doors.replicate.views import NOTIFY_AS, notifier
from service.gateway import Gateway
from service.upkeep.endings import Endings
from service.upkeep.retention import Retention
from service.upkeep.sweeper import Sweeper
from service.upkeep.templates import TemplateReader
from service.webhooks import WebhookSender


@dataclass(frozen=True, slots=True)
class Background:
    """The background parts of one gateway."""

    gateway: Gateway
    sweeper: Sweeper
    endings: Endings
    retention: Retention
    webhook_sender: WebhookSender
    template_reader: TemplateReader

    @classmethod
    def of(cls, gateway: Gateway) -> Self:
        """Wire the parts."""
        retention = Retention(gateway.settings, gateway.ledger, gateway.storage)
        return cls(
            gateway=gateway,
            sweeper=Sweeper(gateway, retention),
            endings=Endings(gateway.ledger, gateway.metrics),
            retention=retention,
            webhook_sender=WebhookSender(
                gateway.ledger,
                gateway.views,
                gateway.outbound,
                gateway.metrics.webhooks,
                {NOTIFY_AS: notifier(gateway)},
            ),
            template_reader=TemplateReader(gateway.library),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the parts while the doors serve; then close the gateway."""
        await self.gateway.gatekeeper.open()
        hub = self.gateway.event_hub
        parts = (
            *(hub, self.sweeper, self.endings, self.retention),
            *(self.webhook_sender, self.template_reader),
        )
        tasks = [asyncio.create_task(part.run()) for part in parts]
        try:
            yield
        finally:
            self.gateway.stop()
            for task in tasks:
                await _canceled(task)
            await self.gateway.close()


async def _canceled(task: asyncio.Task[None]) -> None:
    # In Python 3.11 `wait_for`, which redis-py sends through, may swallow a cancellation
    # (python/cpython#86296), so we cancel until the task ends.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
