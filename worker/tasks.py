"""The one Celery task: a bell that says "look"."""

import threading
from collections.abc import Callable

from celery import Celery

from latentry.doorbell import TASK
from worker.vital import vital


def register(app: Celery, drain: Callable[[], None]) -> None:
    """Give the app its task. There is one drain per process; later bells find it awake."""
    running = threading.Lock()

    @app.task(name=TASK)
    def denoise(_model: str) -> None:
        if not running.acquire(blocking=False):
            return
        # Celery would log an exception and go on, with nobody stepping and leases still renewed.
        vital(drain)()
