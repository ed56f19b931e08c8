"""A worker's loop on a thread of its own: a real Valkey, real threads, a fake engine."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from latentry.contracts.fields.safety import ImageRule
from latentry.errors import LeaseLost
from latentry.ledger import Command, JobRecord, JobRef, Ledger, NewJob, commands
from latentry.storage import Storage
from tests.latentry.ledger.factory import card, request
from tests.worker.fakes import FakeEngine
from worker.claims.claimed_job import ClaimedJob
from worker.claims.claimer import Claimer
from worker.claims.inbox import Inbox
from worker.claims.inputs import Inputs
from worker.claims.queue_choice import QueueChoice
from worker.claims.reporter import Reporter
from worker.loop import WorkerLoop
from worker.metrics import Metrics
from worker.process.keepalive import Keepalive, NoKeepalive
from worker.publishing.publisher import Publisher
from worker.safety.judge import Judge
from worker.saving import Saving
from worker.stepping import Stepping

_ids = iter(range(1_000_000))


class OneByOne(Ledger):
    """For ledgers that meddle with `run`: every command goes through it."""

    def run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        return [self._run(command) for command in commands]

    def _run(self, command: Command[Any]) -> Any:
        try:
            return self.run(command)
        except LeaseLost as error:
            return error


class Worker:
    """A worker's loop on a thread of its own."""

    def __init__(
        self,
        ledger: Ledger,
        storage: Storage,
        name: str = "w1",
        *,
        checkpoint_s: float = 60,
        checkpoint_bytes: int = 1000,
        keepalive: Keepalive | None = None,
        test_s: float = 0,
        failed: Collection[str] = (),
        on_measured: Callable[[], None] = lambda: None,
        engine: Any = None,
        backlog_bytes: int = 1_000_000,
        prepare: Callable[[ClaimedJob], None] | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.engine = engine or FakeEngine()
        self.metrics = Metrics()
        self.inbox = Inbox()
        self.reporter = Reporter(
            ledger,
            self.inbox,
            name,
            [card()],
            lease_s=2,
            heartbeat_s=0.2,
            checkpoint_bytes=checkpoint_bytes,
            failed=lambda: failed,
        )
        queues = QueueChoice(["shapes"], lambda: ["shapes"], lambda: failed)
        self.claimer = Claimer(
            ledger,
            self.inbox,
            name,
            queues,
            self.reporter,
            lease_s=2,
            prepare=prepare or Inputs(storage).prepare,
            on_idled=self.metrics.idled,
        )
        self.loop = WorkerLoop(
            engine=self.engine,
            stepping=Stepping(
                self.engine,
                keepalive or NoKeepalive(),
                self.metrics,
                longest_test_s=lambda: test_s,
                on_measured=on_measured,
            ),
            saving=Saving(self.engine, self.reporter.checkpoints, every_s=checkpoint_s),
            inbox=self.inbox,
            claimer=self.claimer,
            reporter=self.reporter,
            publisher=Publisher(
                ledger, storage, self.metrics, self.inbox, budget_bytes=backlog_bytes, judge=judge
            ),
            metrics=self.metrics,
        )
        self.thread = threading.Thread(target=self.loop.run, daemon=True)

    def start(self) -> None:
        self.reporter.start()
        self.thread.start()

    def stop(self) -> None:
        self.loop.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


def submit(ledger: Ledger, *rules: ImageRule, **fields: object) -> JobRef:
    """A job of these fields, with these rules on its pictures."""
    ref = JobRef("default", f"gen_{next(_ids)}")
    job = NewJob(ref, request(**fields), queue_ttl_ms=60_000, ttl_ms=60_000, image_rules=rules)
    ledger.run(commands.create(job, max_queued=1000))
    return ref


def read(ledger: Ledger, ref: JobRef) -> JobRecord:
    record = ledger.run(commands.get(ref))
    assert record is not None
    return record


def ended(ledger: Ledger, ref: JobRef, timeout_s: float = 15) -> JobRecord:
    """The job's record once it is terminal."""
    return when(ledger, ref, lambda record: record.state.is_terminal, timeout_s)


def when(ledger: Ledger, ref: JobRef, holds, timeout_s: float = 15) -> JobRecord:
    deadline = time.monotonic() + timeout_s
    while not holds(record := read(ledger, ref)):
        assert time.monotonic() < deadline, record
    return record


def steps(worker: Worker, kind: str) -> float | None:
    return worker.metrics.registry.get_sample_value(f"latentry_steps_{kind}_total")
