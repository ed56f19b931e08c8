"""The Celery side of the worker, and the one place where the worker is wired."""

import logging
import os
import socket
import warnings
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from secrets import token_hex
from typing import Any

import structlog
from celery import Celery, signals
from celery.exceptions import SecurityWarning

from latentry.broker import TASK, broker_config, broker_queue
from latentry.contracts import ModelCard
from latentry.ledger import Ledger
from latentry.settings import Settings
from worker import tasks
from worker.backends import ATTEMPTS, open_backend
from worker.claims.claimer import Claimer
from worker.claims.inbox import Inbox
from worker.claims.inputs import Inputs
from worker.claims.preparation.adapters import Adapters
from worker.claims.preparation.preparation import Preparation
from worker.claims.queue_choice import QueueChoice
from worker.claims.reporter import Reporter
from worker.engine.attempts import forget_own
from worker.engine.loop import Engine
from worker.loop import WorkerLoop
from worker.model_files.watcher import ModelWatcher
from worker.opened import OpenBackend, Opened, complete, open_all
from worker.process.keepalive import Keepalive
from worker.process.sigterm import end_on_sigterm
from worker.publishing.publisher import Publisher
from worker.saving import Saving
from worker.starting import Starting
from worker.stepping import Stepping

log = structlog.get_logger()


def run(settings: Settings, keepalive: Keepalive, open_backend: OpenBackend = open_backend) -> None:
    """Load the models, test them, and serve until SIGTERM."""
    compute = _compute_thread()
    end_on_sigterm(partial(forget_own, settings.data_dir / ATTEMPTS))  # until Celery takes over
    name = f"{socket.gethostname()}-{os.getpid()}-{token_hex(3)}"
    starting = Starting(settings, name)
    opened = open_all(settings, keepalive, compute, starting.before(open_backend))
    inbox = Inbox()
    loop, reporter = _wire(settings, keepalive, compute, opened, inbox, name)
    models = reporter.heartbeat.models
    app = Celery("latentry", set_as_current=False)
    app.conf.update(broker_config(settings))
    tasks.register(app, lambda: compute.submit(loop.run).result())
    tasks.before_shutdown(app, loop.stop)
    queues = [broker_queue(settings, model) for model in models]

    watcher = _watcher(opened, inbox, models)

    @signals.worker_ready.connect(weak=False)
    def begin(sender: Any, **_: Any) -> None:
        starting.stop()
        reporter.start()
        opened.adapters.start()
        watcher.start(lambda model: tasks.listen_to(sender, broker_queue(settings, model)))
        keepalive.extend(0)
        # The first bell is the worker's own: it finds the jobs that already wait.
        app.send_task(TASK, args=[models[0]], queue=queues[0])
        log.info("worker.ready", models=models)

    @signals.worker_shutting_down.connect(weak=False)
    def end(**_: Any) -> None:
        loop.stop()
        forget_own(settings.data_dir / ATTEMPTS)  # now: a parent does not wait for ever

    _serve(app, queues)
    for stop in (watcher.stop, reporter.stop, opened.adapters.stop, opened.cost_file.keep):
        stop()
    forget_own(settings.data_dir / ATTEMPTS)


def _compute_thread() -> Executor:
    # Every call into torch comes from this one thread: each thread that computes gets a pool of
    # OpenMP threads, and two pools on the same cores made a step take 2.3 times as long.
    return ThreadPoolExecutor(1, thread_name_prefix="compute")


def _serve(app: Celery, queues: list[str]) -> None:
    @signals.setup_logging.connect(weak=False)
    def leave_logging_alone(**_: Any) -> None:
        """Celery configures the root logger unless this signal has a receiver."""
        logging.getLogger("celery").setLevel(logging.WARNING)  # each bell is not worth a line

    with warnings.catch_warnings():
        # In the image its user is `nobody`; on a laptop it may be root, with JSON messages only.
        warnings.filterwarnings("ignore", category=SecurityWarning)
        # Not by `worker_main`: its command line imports a shell, and a model waits to be listed.
        app.Worker(
            queues=queues,
            pool_cls="threads",
            concurrency=2,  # one runs the worker's loop, the other takes bells that ring meanwhile
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        ).start()


def _wire(
    settings: Settings,
    keepalive: Keepalive,
    compute: Executor,
    opened: Opened,
    inbox: Inbox,
    name: str,
) -> tuple[WorkerLoop, Reporter]:
    backend, metrics = opened.backend, opened.metrics
    ledger = Ledger.open(settings)
    reporter = _reporter(settings, ledger, inbox, name, opened)
    engine = Engine(backend, opened.costs)
    reporter.heartbeat.served.report_pace(compute.submit(engine.paces).result())
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
        claimer=_claimer(settings, ledger, inbox, name, reporter, opened),
        reporter=reporter,
        publisher=_publisher(settings, ledger, inbox, opened),
        metrics=metrics,
    )
    return loop, reporter


def _claimer(
    settings: Settings,
    ledger: Ledger,
    inbox: Inbox,
    name: str,
    reporter: Reporter,
    opened: Opened,
) -> Claimer:
    backend = opened.backend
    models = [card.queue for card in opened.cards if isinstance(card, ModelCard)]
    return Claimer(
        ledger,
        inbox,
        name,
        QueueChoice(models, lambda: backend.resident, lambda: backend.failed),
        reporter,
        lease_s=settings.lease_s,
        background=[one for one in reporter.heartbeat.models if one not in models],
        prepare=_preparation(opened).prepare,
        on_idled=opened.metrics.idled,
    )


def _watcher(opened: Opened, inbox: Inbox, served: Sequence[str]) -> ModelWatcher:
    def completed(card: ModelCard) -> ModelCard:
        [done] = complete([card], opened.judge)
        assert isinstance(done, ModelCard)
        return done

    return ModelWatcher(opened.models, opened.backend.reader, inbox, served, completed)


def _publisher(settings: Settings, ledger: Ledger, inbox: Inbox, opened: Opened) -> Publisher:
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


def _preparation(opened: Opened) -> Preparation:
    adapters = Adapters(opened.adapters, opened.backend.adapters)
    return Preparation(Inputs(opened.storage), adapters)


def _reporter(
    settings: Settings, ledger: Ledger, inbox: Inbox, name: str, opened: Opened
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
