"""The one Celery task: a bell that says "look"."""

import threading
from collections.abc import Callable

from celery import Celery, bootsteps

from latentry.broker import TASK
from worker.process.exit_on_failure import exit_on_failure


def register(app: Celery, drain: Callable[[], None]) -> None:
    """Give the app its task. There is one drain per process; later bells find it awake."""
    running = threading.Lock()

    @app.task(name=TASK)
    def denoise(_model: str) -> None:
        if not running.acquire(blocking=False):
            return
        # Celery would log an exception and go on, with nobody stepping and leases still renewed.
        exit_on_failure(drain)()


def before_leaving(app: Celery, stop: Callable[[], None]) -> None:
    """Have `stop` called before Celery waits for the task, whatever it leaves for.

    It does so by itself over a message that is none (kombu's own envelope cannot be read): without
    this the drain would go on for ever, in a process that hears no bell.
    """

    class Farewell(bootsteps.StartStopStep):
        """Steps stop in the reverse order of their start, so this one before the pool."""

        requires = ("celery.worker.components:Pool",)

        def stop(self, _worker: object) -> None:
            stop()

    app.steps["worker"].add(Farewell)
