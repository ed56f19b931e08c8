"""Sends due webhooks, in every gateway, in a background task.

Many are sent concurrently, but few to one receiver and not too many for one tenant, so that slow
receivers delay only themselves. If a gateway dies, the leases of its deliveries end and another
gateway sends them: each arrives at least once.
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
from latentry.ledger.deliveries import Capacity, DueDelivery
from service.jobs.views import Views
from service.metrics import WebhookMetrics
from service.outbound import Outbound
from service.outbound.client import REQUEST_S
from service.webhooks import payload
from service.webhooks.schedule import pause_s, status_after

log = structlog.get_logger()

CAPACITY: Final = Capacity(all=64, receiver=4, tenant=16)
EVERY_S: Final = 0.5
LEASE_S: Final = REQUEST_S + 10  # one request, and the ledger's commands before and after it
_BACKLOG_EVERY_S: Final = 5.0


class WebhookSender:
    """Sends one gateway's share of all deliveries."""

    def __init__(
        self,
        ledger: AsyncLedger,
        views: Views,
        outbound: Outbound,
        metrics: WebhookMetrics,
        bodies: payload.Bodies,
    ) -> None:
        self._ledger = ledger
        self._views = views
        self._outbound = outbound
        self._metrics = metrics
        self._bodies = bodies
        self._in_flight: Counter[str] = Counter()
        self._sending: set[asyncio.Task[None]] = set()
        self._has_room = asyncio.Event()
        self._backlog_due = monotonic()

    async def run(self) -> None:
        """Send until canceled, through every outage."""
        try:
            while True:
                try:
                    await self._round()
                except LatentryError as error:
                    log.warning("webhooks.interrupted", code=error.code)
                except Exception:
                    log.exception("webhooks.crashed")
                await self._pause()
        finally:
            for task in self._sending:
                task.cancel()

    async def _round(self) -> None:
        if monotonic() >= self._backlog_due:
            self._backlog_due = monotonic() + _BACKLOG_EVERY_S
            self._metrics.backlog(*await self._ledger.run(deliveries.measure_backlog()))
        if len(self._sending) >= CAPACITY.all:
            return
        taken = await self._ledger.run(
            deliveries.take(CAPACITY, busy=self._in_flight, lease_s=LEASE_S)
        )
        for due in taken:
            self._in_flight[due.receiver] += 1
            task = asyncio.create_task(self._deliver(due))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _pause(self) -> None:
        # Until there is room for another, or another may be due.
        self._has_room.clear()
        try:
            async with asyncio.timeout(EVERY_S):
                await self._has_room.wait()
        except TimeoutError:
            return

    async def _deliver(self, due: DueDelivery) -> None:
        try:
            await self._attempt(due)
        except LatentryError as error:  # due again when its lease ends
            log.warning("webhook.not_recorded", delivery=due.id, code=error.code)
        finally:
            self._in_flight[due.receiver] -= 1
            self._in_flight += Counter()  # drops receivers at zero
            self._has_room.set()

    async def _attempt(self, due: DueDelivery) -> None:
        started = perf_counter()
        status, error, to = await self._send(due)
        took_s = perf_counter() - started
        self._metrics.attempted(to, status, error)
        log.info(
            "webhook.attempted",
            job=due.ref.id,
            delivery=due.id,
            host=due.receiver.partition("@")[2],  # not the URL, which may contain a secret
            attempt=due.attempt,
            status=status,
            error=error,
            delivery_status=to.value,
        )
        await self._ledger.run(
            deliveries.report(
                due,
                to,
                duration_ms=round(took_s * 1000),
                status=status,
                error=error,
                retry_s=pause_s(due.tries, random.random()),  # noqa: S311 - not a secret
            )
        )

    async def _send(self, due: DueDelivery) -> tuple[int | None, str | None, DeliveryStatus]:
        try:
            fresh = deliveries.new_secret()
            secrets = await self._ledger.run(deliveries.list_secrets(due.ref.tenant, fresh=fresh))
            webhook = await payload.signed(due, self._views, secrets, self._bodies)
            status = await self._outbound.post(due.url, webhook.body, webhook.headers)
        except UrlNotAllowed as refused:
            return None, refused.code, DeliveryStatus.BLOCKED
        except LatentryError as error:
            return None, error.code, status_after(due.tries, None)
        except Exception:
            # A record that this version cannot read must not be retried for ever.
            log.exception("webhook.crashed", delivery=due.id)
            return None, LatentryError.code, status_after(due.tries, None)
        return status, None, status_after(due.tries, status)
