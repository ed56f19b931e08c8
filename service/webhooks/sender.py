"""Sends due notices, in every gateway, beside everything else.

Many at once, but few to one receiver and not too many for one tenant: who is slow waits for itself.
A gateway that dies leaves what it was sending to the next: a notice arrives at least once.
"""

import asyncio
import random
from collections import Counter
from time import monotonic, perf_counter
from typing import Final

import structlog

from latentry.contracts import DeliveryStatus
from latentry.errors import LatentryError, UrlNotAllowed
from latentry.ledger import AsyncLedger, deliveries
from latentry.ledger.deliveries import DueDelivery, Room
from service.jobs.views import Views
from service.metrics import Metrics
from service.outbound import Outbound
from service.outbound.client import WHOLE_S
from service.webhooks import payload
from service.webhooks.schedule import pause_s, verdict

log = structlog.get_logger()

ROOM: Final = Room(all=64, receiver=4, tenant=16)
EVERY_S: Final = 0.5
LEASE_S: Final = WHOLE_S + 10  # an exchange, and what the ledger may take before and after it
_COUNTED_EVERY_S: Final = 5.0


class WebhookSender:
    """One gateway's share of all deliveries."""

    def __init__(
        self, ledger: AsyncLedger, views: Views, outbound: Outbound, metrics: Metrics
    ) -> None:
        self._ledger = ledger
        self._views = views
        self._outbound = outbound
        self._metrics = metrics
        self._busy: Counter[str] = Counter()
        self._sending: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._count_due = monotonic()

    async def run(self) -> None:
        """Send until cancelled, through every outage."""
        try:
            while True:
                try:
                    await self._round()
                except LatentryError as error:
                    log.warning("webhooks.interrupted", code=error.code)
                except Exception:
                    log.exception("webhooks.broke")
                await self._pause()
        finally:
            for task in self._sending:
                task.cancel()

    async def _round(self) -> None:
        if monotonic() >= self._count_due:
            self._count_due = monotonic() + _COUNTED_EVERY_S
            self._metrics.webhook_backlog(*await self._ledger.run(deliveries.backlog()))
        if len(self._sending) >= ROOM.all:
            return
        taken = await self._ledger.run(deliveries.take(ROOM, busy=self._busy, lease_s=LEASE_S))
        for due in taken:
            self._busy[due.receiver] += 1
            task = asyncio.create_task(self._deliver(due))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _pause(self) -> None:
        # Until there is room again, or something may be due.
        self._freed.clear()
        try:
            async with asyncio.timeout(EVERY_S):
                await self._freed.wait()
        except TimeoutError:
            return

    async def _deliver(self, due: DueDelivery) -> None:
        try:
            await self._attempt(due)
        except LatentryError as error:  # it is due again when its lease ends
            log.warning("webhook.unreported", delivery=due.id, code=error.code)
        finally:
            self._busy[due.receiver] -= 1
            self._busy += Counter()  # forgets who is not busy
            self._freed.set()

    async def _attempt(self, due: DueDelivery) -> None:
        began = perf_counter()
        status, error, to = await self._sent(due)
        took_s = perf_counter() - began
        self._metrics.webhook_attempted(to, status, error)
        log.info(
            "webhook.attempted",
            job=due.ref.id,
            delivery=due.id,
            host=due.receiver.partition("@")[2],  # never the URL, which may carry a password
            attempt=due.attempt,
            status=status,
            error=error,
            became=to.value,
        )
        await self._ledger.run(
            deliveries.report(
                due,
                to,
                duration_ms=round(took_s * 1000),
                status=status,
                error=error,
                again_s=pause_s(due.tries, random.random()),  # noqa: S311 - nobody gains by it
            )
        )

    async def _sent(self, due: DueDelivery) -> tuple[int | None, str | None, DeliveryStatus]:
        try:
            fresh = deliveries.new_secret()
            secrets = await self._ledger.run(deliveries.secrets(due.ref.tenant, fresh=fresh))
            sent = await payload.write(due, self._views, secrets)
            status = await self._outbound.post(due.url, sent.body, sent.headers)
        except UrlNotAllowed as refused:
            return None, refused.code, DeliveryStatus.BLOCKED
        except LatentryError as error:
            return None, error.code, verdict(None, due.tries)
        except Exception:
            # A record this version cannot read must end as any other notice that nobody takes.
            log.exception("webhook.broke", delivery=due.id)
            return None, LatentryError.code, verdict(None, due.tries)
        return status, None, verdict(status, due.tries)
