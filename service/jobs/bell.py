"""Rings the bell: a Celery message that wakes a worker. The gateway's only use of Celery."""

import asyncio
from time import monotonic

import structlog
from celery import Celery
from kombu.exceptions import KombuError

from latentry.broker import BELL_S, TASK, broker_config, broker_queue
from latentry.errors import LedgerUnavailable
from latentry.ledger import AsyncLedger, commands
from latentry.settings import Settings

log = structlog.get_logger()

_CLOSE_WITHIN_S = 2.0
# Old bells are useless, and must not fill a broker queue that no worker reads.
_EXPIRES_S = 60.0
_PUBLISH = {"max_retries": 3, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 0.5}


class Bell:
    """Best effort: the sweeper rings again for queues that wait without a bell."""

    def __init__(self, settings: Settings, ledger: AsyncLedger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._app = Celery("latentry", set_as_current=False)
        self._app.conf.update(broker_config(settings))
        self._ringing: set[asyncio.Task[None]] = set()
        self._rung_until: dict[str, float] = {}

    def ring_soon(self, model: str) -> None:
        """Ring in the background, unless this process has rung for the model within BELL_S."""
        if monotonic() < self._rung_until.get(model, 0.0):
            return
        self._rung_until[model] = monotonic() + BELL_S
        task = asyncio.create_task(self.ring(model))
        self._ringing.add(task)
        task.add_done_callback(self._ringing.discard)

    async def ring(self, model: str) -> None:
        """Wake a worker of this model, unless a bell of any gateway is on its way."""
        try:
            if not await self._ledger.run(commands.reserve_bell(model, ttl_s=BELL_S)):
                return
            await asyncio.to_thread(self._send, model)
        except LedgerUnavailable:
            log.warning("bell.failed", model=model)
            self._rung_until.pop(model, None)
        except (KombuError, OSError) as error:
            log.warning("bell.failed", model=model, error=type(error).__name__)
            await self._take_back(model)

    async def flush(self, within_s: float) -> None:
        """Wait for the bells that are being sent."""
        if self._ringing:
            await asyncio.wait(self._ringing, timeout=within_s)

    async def close(self) -> None:
        """Send the last bells, then disconnect."""
        await self.flush(_CLOSE_WITHIN_S)
        await asyncio.to_thread(self._app.close)

    def _send(self, model: str) -> None:
        self._app.send_task(
            TASK,
            args=[model],
            queue=broker_queue(self._settings, model),
            expires=_EXPIRES_S,
            ignore_result=True,
            retry=True,
            retry_policy=_PUBLISH,
        )

    async def _take_back(self, model: str) -> None:
        try:
            await self._ledger.run(commands.release_bell([model]))
        except LedgerUnavailable:
            log.info("bell.not_taken_back", model=model)  # the flag expires after BELL_S
        self._rung_until.pop(model, None)
