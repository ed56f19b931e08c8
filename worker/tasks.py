"""The one Celery task: a bell that says "look"."""

import os
import threading

import structlog
from celery import Celery

from latentry.doorbell import TASK
from worker.drain import Drain

log = structlog.get_logger()

EXIT_BROKEN = 70  # EX_SOFTWARE: whatever happened to the device or to us, start afresh


def register(app: Celery, drain: Drain) -> None:
    """Give the app its task. There is one drain per process; later bells find it awake."""
    running = threading.Lock()

    @app.task(name=TASK)
    def denoise(model: str) -> None:
        if not running.acquire(blocking=False):
            return
        try:
            drain.run()
        except BaseException:
            # Celery would log this and go on, with nobody stepping and leases still renewed.
            log.exception("drain.broke", rung_by=model)
            os._exit(EXIT_BROKEN)
        finally:
            running.release()
