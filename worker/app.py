"""The Celery side of the worker, and the one place where the worker is wired."""

import logging
import os
import socket
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final, TypeAlias

import structlog
from celery import Celery, signals
from celery.exceptions import SecurityWarning

from latentry.broker import TASK, broker_config, broker_queue
from latentry.contracts import ModelCard
from latentry.errors import LatentryError, Unavailable
from latentry.ledger import Ledger
from latentry.ledger.server import inspection
from latentry.metrics_port import serve_metrics
from latentry.settings import Settings
from latentry.storage import Storage, open_storage
from worker import tasks
from worker.backends import Card, open_backend
from worker.batching import Costs
from worker.claims.claimer import Claimer
from worker.claims.inbox import Inbox
from worker.claims.inputs import Inputs
from worker.claims.preparation.adapter_cache import AdapterCache
from worker.claims.preparation.adapter_files import AdapterFiles
from worker.claims.preparation.adapters import Adapters
from worker.claims.preparation.preparation import Preparation
from worker.claims.queue_choice import QueueChoice
from worker.claims.reporter import Reporter
from worker.cost_file import CostFile
from worker.engine.loop import Engine
from worker.engine.loop.backend import ServedBackend
from worker.loop import WorkerLoop
from worker.metrics import Metrics
from worker.process.keepalive import Keepalive
from worker.process.watchdog import EXIT_UNUSABLE
from worker.publishing.clip import with_clips
from worker.publishing.publisher import Publisher
from worker.publishing.signing import Signing, open_signing
from worker.safety.judge import Judge
from worker.safety.opening import open_classifier, with_labels
from worker.saving import Saving
from worker.stepping import Stepping

log = structlog.get_logger()

READING_S: Final = 3600.0  # all adapters, from a slow disk
EXIT_NOT_READY: Final = 75  # EX_TEMPFAIL: its parent tries again
OpenBackend: TypeAlias = Callable[[Settings, Keepalive], tuple[ServedBackend[Any], Sequence[Card]]]


def run(settings: Settings, keepalive: Keepalive, open_backend: OpenBackend = open_backend) -> None:
    """Load the models, test them, and serve until SIGTERM."""
    # Every call into torch comes from this one thread: each thread that computes gets a pool of
    # OpenMP threads, and two pools on the same cores made a step take 2.3 times as long.
    compute = ThreadPoolExecutor(1, thread_name_prefix="compute")
    opened = _open(settings, keepalive, compute, open_backend)
    loop, reporter = _wire(settings, keepalive, compute, opened)
    models = reporter.heartbeat.models
    app = Celery("latentry", set_as_current=False)
    app.conf.update(broker_config(settings))
    tasks.register(app, lambda: compute.submit(loop.run).result())
    tasks.before_shutdown(app, loop.stop)
    queues = [broker_queue(settings, model) for model in models]

    @signals.setup_logging.connect(weak=False)
    def leave_logging_alone(**_: Any) -> None:
        """Celery configures the root logger unless this signal has a receiver."""
        logging.getLogger("celery").setLevel(logging.WARNING)  # each bell is not worth a line

    @signals.worker_ready.connect(weak=False)
    def begin(**_: Any) -> None:
        reporter.start()
        opened.adapters.start()
        keepalive.extend(0)
        # The first bell is the worker's own: it finds the jobs that already wait.
        app.send_task(TASK, args=[models[0]], queue=queues[0])
        log.info("worker.ready", models=models)

    @signals.worker_shutting_down.connect(weak=False)
    def end(**_: Any) -> None:
        loop.stop()

    _serve(app, queues)
    reporter.stop()
    opened.adapters.stop()
    opened.cost_file.keep()


def _serve(app: Celery, queues: list[str]) -> None:
    # Two threads: one runs the worker's loop, the other takes the bells that ring meanwhile.
    flags = "--pool=threads --concurrency=2 --without-gossip --without-mingle --without-heartbeat"
    with warnings.catch_warnings():
        # In the image its user is `nobody`; on a laptop it may be root, with JSON messages only.
        warnings.filterwarnings("ignore", category=SecurityWarning)
        app.worker_main(["--quiet", "worker", f"--queues={','.join(queues)}", *flags.split()])


@dataclass(frozen=True, slots=True)
class _Opened:
    """All that can fail to open on this machine: models, cost file, storage, metrics port."""

    backend: ServedBackend[Any]
    cards: Sequence[Card]
    costs: Costs
    cost_file: CostFile
    storage: Storage
    metrics: Metrics
    adapters: AdapterFiles
    signing: Signing
    judge: Judge


def _open(
    settings: Settings, keepalive: Keepalive, compute: Executor, open_backend: OpenBackend
) -> _Opened:
    metrics = Metrics()
    try:
        inspection.inspect(settings)  # before the models, which take minutes
        backend, cards = compute.submit(open_backend, settings, keepalive).result()
        costs = Costs(max_rows=settings.max_rows, max_slowdown=settings.max_slowdown)
        cost_file = CostFile(costs, settings.data_dir / "costs", backend.identity)
        cost_file.recall()
        storage = open_storage(settings)
        cache = AdapterCache(settings.data_dir / "adapters", backend.adapters.identity)
        adapters = AdapterFiles(settings.adapter_sources, backend.adapters.inspect, cache)
        keepalive.extend(READING_S)
        judge = Judge(compute.submit(open_classifier, settings).result())
        adapters.open()
        signing = open_signing(settings, metrics)
        serve_metrics(metrics.registry, settings, "worker_metrics_port")
    except Unavailable as error:
        log.error("worker.not_ready", code=error.code, why=error.message)
        raise SystemExit(EXIT_NOT_READY) from error
    except LatentryError as error:
        log.error("worker.unusable", code=error.code, why=error.message)
        raise SystemExit(EXIT_UNUSABLE) from error
    cards = with_labels(with_clips(cards), judge.labels)
    return _Opened(backend, cards, costs, cost_file, storage, metrics, adapters, signing, judge)


def _wire(
    settings: Settings, keepalive: Keepalive, compute: Executor, opened: _Opened
) -> tuple[WorkerLoop, Reporter]:
    name = f"{socket.gethostname()}-{os.getpid()}-{token_hex(3)}"
    backend, metrics = opened.backend, opened.metrics
    ledger, inbox = Ledger.open(settings), Inbox()
    reporter = _reporter(settings, ledger, inbox, name, opened)
    engine = Engine(backend, opened.costs)
    reporter.heartbeat.report_pace(compute.submit(engine.paces).result())
    models = [card.queue for card in opened.cards if isinstance(card, ModelCard)]
    queues = QueueChoice(models, lambda: backend.resident, lambda: backend.failed)
    loop = WorkerLoop(
        engine=engine,
        stepping=Stepping(
            engine,
            keepalive,
            metrics,
            longest_test_s=lambda: backend.longest_test_s,
            on_measured=opened.cost_file.keep,  # now: a worker may be killed
        ),
        saving=Saving(engine, reporter.checkpoints, every_s=settings.checkpoint_s),
        inbox=inbox,
        claimer=Claimer(
            ledger,
            inbox,
            name,
            queues,
            reporter,
            lease_s=settings.lease_s,
            background=[one for one in reporter.heartbeat.models if one not in models],
            prepare=_preparation(opened).prepare,
            on_idled=metrics.idled,
        ),
        reporter=reporter,
        publisher=_publisher(settings, ledger, inbox, opened),
        metrics=metrics,
    )
    return loop, reporter


def _publisher(settings: Settings, ledger: Ledger, inbox: Inbox, opened: _Opened) -> Publisher:
    return Publisher(
        ledger,
        opened.storage,
        opened.metrics,
        inbox,
        budget_bytes=settings.backlog_bytes,
        signing=opened.signing,
        watermarks=settings.watermark == "on",
        judge=opened.judge,
    )


def _preparation(opened: _Opened) -> Preparation:
    adapters = Adapters(opened.adapters, opened.backend.adapters)
    return Preparation(Inputs(opened.storage), adapters)


def _reporter(
    settings: Settings, ledger: Ledger, inbox: Inbox, name: str, opened: _Opened
) -> Reporter:
    return Reporter(
        ledger,
        inbox,
        name,
        opened.cards,
        lease_s=settings.lease_s,
        heartbeat_s=settings.heartbeat_s,
        checkpoint_bytes=settings.checkpoint_bytes,
        failed=lambda: opened.backend.failed,
        adapters=lambda: opened.adapters.entries,
        held=lambda: opened.backend.adapters.held,
    )
