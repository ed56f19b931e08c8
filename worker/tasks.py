"""The one Celery task: a bell, which starts the worker's loop if it does not run."""

import threading
from collections.abc import Callable
from typing import Any

from celery import Celery, bootsteps

from latentry.broker import TASK
from worker.process.exit_on_failure import exit_on_failure


def register(app: Celery, run_loop: Callable[[], None]) -> None:
    """Give the app its task, which runs the worker's loop. Later bells find it running."""
    running = threading.Lock()

    @app.task(name=TASK)
    def denoise(_model: str) -> None:
        if not running.acquire(blocking=False):
            return
        # Celery would log an exception and go on, with no loop, while leases are still renewed.
        exit_on_failure(run_loop)()


def listen_to(consumer: Any, queue: str) -> None:
    """Take the bells of one more broker queue, or they would stay there. From any thread."""
    consumer.call_soon(consumer.add_task_queue, queue)


def before_shutdown(app: Celery, stop: Callable[[], None]) -> None:
    """Have `stop` called before Celery waits for the task, whatever made it stop.

    Celery also stops by itself, on a message that kombu cannot read: without this the loop would
    run for ever, in a process that takes no more bells.
    """

    class StopLoop(bootsteps.StartStopStep):
        """Steps stop in the reverse order of their start, so this one before the pool."""

        requires = ("celery.worker.components:Pool",)

        def stop(self, _worker: object) -> None:
            stop()

    app.steps["worker"].add(StopLoop)
