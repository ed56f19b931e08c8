"""The Celery side of the worker, and the one place where the worker is wired."""

import logging
import os
import socket
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from secrets import token_hex
from typing import Any, TypeAlias

import structlog
from celery import Celery, signals
from celery.exceptions import SecurityWarning

from latentry.broker import TASK, broker_config, queue
from latentry.contracts import ModelCard
from latentry.errors import LatentryError, Unavailable
from latentry.ledger import Ledger
from latentry.settings import Settings
from latentry.storage import open_storage
from worker import tasks
from worker.backends import open_backend
from worker.batching import Costs
from worker.claims.claimer import Claimer
from worker.claims.heartbeat import Outbox
from worker.claims.queue_choice import QueueChoice
from worker.cost_file import CostFile
from worker.engine.loop import Engine
from worker.engine.loop.backend import ServedBackend
from worker.loop import WorkerLoop
from worker.metrics import Metrics
from worker.process.keepalive import Keepalive
from worker.process.watchdog import EXIT_UNUSABLE

log = structlog.get_logger()

EXIT_NOT_READY = 75  # EX_TEMPFAIL: its parent tries again
OpenBackend: TypeAlias = Callable[[Settings, Keepalive], tuple[ServedBackend[Any], list[ModelCard]]]


def run(settings: Settings, keepalive: Keepalive, open_backend: OpenBackend = open_backend) -> None:
    """Load the models, prove them, and serve until SIGTERM."""
    # Every call into torch comes from this one thread: each thread that computes gets a pool of
    # OpenMP threads, and two pools on the same cores made a step take 2.3 times as long.
    compute = ThreadPoolExecutor(1, thread_name_prefix="compute")
    drain, outbox, costs = _wire(settings, keepalive, compute, open_backend)
    app = Celery("latentry", set_as_current=False)
    app.conf.update(broker_config(settings))
    tasks.register(app, lambda: compute.submit(drain.run).result())
    tasks.before_leaving(app, drain.stop)
    queues = [queue(settings, model) for model in outbox.models]

    @signals.setup_logging.connect(weak=False)
    def leave_logging_alone(**_: Any) -> None:
        """Celery configures the root logger unless somebody listens here."""
        logging.getLogger("celery").setLevel(logging.WARNING)  # bells are not news

    @signals.worker_ready.connect(weak=False)
    def begin(**_: Any) -> None:
        outbox.start()
        keepalive.extend(0)
        # The first bell is our own: what waits already needs nobody else to ring.
        app.send_task(TASK, args=[outbox.models[0]], queue=queues[0])
        log.info("worker.ready", models=outbox.models)

    @signals.worker_shutting_down.connect(weak=False)
    def end(**_: Any) -> None:
        drain.stop()

    # Two threads: one drains, the other hears the bells that ring meanwhile.
    flags = "--pool=threads --concurrency=2 --without-gossip --without-mingle --without-heartbeat"
    with warnings.catch_warnings():
        # The image runs it as nobody; a laptop may run it as root, with JSON messages only.
        warnings.filterwarnings("ignore", category=SecurityWarning)
        app.worker_main(["--quiet", "worker", f"--queues={','.join(queues)}", *flags.split()])
    outbox.stop()
    costs.keep()


def _wire(
    settings: Settings, keepalive: Keepalive, compute: Executor, open_backend: OpenBackend
) -> tuple[WorkerLoop, Outbox, CostFile]:
    metrics = Metrics()
    try:
        backend, cards = compute.submit(open_backend, settings, keepalive).result()
        costs = Costs(max_rows=settings.max_rows, max_slowdown=settings.max_slowdown)
        kept = CostFile(costs, settings.data_dir / "costs", backend.identity)
        kept.recall()
        storage = open_storage(settings)
        metrics.serve(settings.metrics_host, settings.worker_metrics_port)
    except Unavailable as error:
        log.error("worker.not_ready", code=error.code, why=error.message)
        raise SystemExit(EXIT_NOT_READY) from error
    except LatentryError as error:
        log.error("worker.unusable", code=error.code, why=error.message)
        raise SystemExit(EXIT_UNUSABLE) from error
    name = f"{socket.gethostname()}-{os.getpid()}-{token_hex(3)}"
    ledger = Ledger.open(settings)
    lease_s = settings.lease_s
    outbox = Outbox(
        ledger,
        name,
        cards,
        lease_s=lease_s,
        heartbeat_s=settings.heartbeat_s,
        checkpoint_bytes=settings.checkpoint_bytes,
        failed=lambda: backend.failed,
    )
    engine = Engine(backend, costs)
    outbox.price(compute.submit(engine.paces).result())
    lines = QueueChoice(outbox.models, lambda: backend.resident, lambda: backend.failed)
    drain = WorkerLoop(
        engine=engine,
        ledger=ledger,
        feeder=Claimer(ledger, name, lines, outbox, lease_s=lease_s),
        outbox=outbox,
        storage=storage,
        metrics=metrics,
        keepalive=keepalive,
        test_s=lambda: backend.longest_test_s,
        checkpoint_s=settings.checkpoint_s,
        on_studied=kept.keep,  # a worker may be killed
    )
    return drain, outbox, kept
