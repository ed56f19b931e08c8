"""The loop between ledger, engine and storage: a real Valkey, real threads, a fake engine."""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from latentry.contracts import JobStatus, ModelCard
from latentry.ledger import Command, JobRecord, JobRef, Lease, Ledger, NewJob, commands
from latentry.settings import Settings
from latentry.storage import Storage, open_storage
from tests.latentry.ledger.factory import card, image, request
from tests.worker.fakes import FakeEngine
from worker.claims.claimer import Claimer
from worker.claims.heartbeat import Outbox
from worker.claims.queue_choice import QueueChoice
from worker.engine.loop import Order
from worker.loop import HUNG_S, LEAVE_S, LOADING_S, PATIENCE, WorkerLoop
from worker.metrics import Metrics
from worker.process.keepalive import Keepalive, NoKeepalive

_ids = iter(range(1_000_000))


class Worker:
    """A drain on a thread of its own."""

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
        on_studied: Callable[[], None] = lambda: None,
        engine: Any = None,
    ) -> None:
        self.engine = engine or FakeEngine()
        self.metrics = Metrics()
        self.outbox = Outbox(
            ledger,
            name,
            [card()],
            lease_s=2,
            heartbeat_s=0.2,
            checkpoint_bytes=checkpoint_bytes,
            failed=lambda: failed,
        )
        lines = QueueChoice(["shapes"], lambda: ["shapes"], lambda: failed)
        self.drain = WorkerLoop(
            engine=self.engine,
            ledger=ledger,
            feeder=Claimer(ledger, name, lines, self.outbox, lease_s=2),
            outbox=self.outbox,
            storage=storage,
            metrics=self.metrics,
            keepalive=keepalive or NoKeepalive(),
            test_s=lambda: test_s,
            checkpoint_s=checkpoint_s,
            on_studied=on_studied,
        )
        self.thread = threading.Thread(target=self.drain.run, daemon=True)

    def start(self) -> None:
        self.outbox.start()
        self.thread.start()

    def stop(self) -> None:
        self.drain.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(
        settings.model_copy(update={"storage_url": "memory://", "signing_key": SecretStr("k")})
    )


@pytest.fixture
def worker(ledger: Ledger, storage: Storage) -> Iterator[Worker]:
    worker = Worker(ledger, storage)
    worker.start()
    yield worker
    worker.stop()


def submit(ledger: Ledger, **fields: object) -> JobRef:
    ref = JobRef("default", f"gen_{next(_ids)}")
    job = NewJob(ref, request(**fields), queue_ttl_ms=60_000, ttl_ms=60_000)
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


def test_a_job_becomes_pictures_in_storage(ledger: Ledger, storage: Storage, worker) -> None:
    record = ended(ledger, submit(ledger, n=3, seed=5))
    assert record.state is JobStatus.SUCCEEDED
    assert [image.seed for image in record.images] == [5, 6, 7]
    assert all(storage.get(image.key).startswith(b"\x89PNG") for image in record.images)
    assert [warning.code for warning in record.warnings] == ["fake"]


class Forgetful(Ledger):
    """Answers that a picture is listed, and is killed before it is written down."""

    def run(self, command: Command[Any]) -> Any:
        return None if command.script == "image" else super().run(command)


def test_no_job_succeeds_without_the_pictures_that_a_killed_ledger_forgot(
    ledger: Ledger, storage: Storage
) -> None:
    worker = Worker(Forgetful(ledger.client, ledger.root), storage)
    worker.start()
    record = ended(ledger, submit(ledger, n=3))
    worker.stop()
    assert record.state is JobStatus.SUCCEEDED
    assert [image.index for image in record.images] == [0, 1, 2]


class Robbed(Ledger):
    """Somebody else has the job when this worker is about to settle it for the first time."""

    is_robbed = False

    def run(self, command: Command[Any]) -> Any:
        if command.script == "settle" and not self.is_robbed:
            self.is_robbed = True
            ref, fence = command.args[:2]
            super().run(Command("release", (ref, fence), bool))
        return super().run(command)


@pytest.mark.parametrize("n", [1, 2])
def test_storage_holds_what_the_ledger_lists_and_nothing_else_when_a_lease_is_lost_at_the_end(
    ledger: Ledger, storage: Storage, n: int
) -> None:
    worker = Worker(Robbed(ledger.client, ledger.root), storage)
    worker.start()
    record = ended(ledger, submit(ledger, n=n))
    worker.stop()
    assert (record.state, record.claims) == (JobStatus.SUCCEEDED, 2)
    kept = storage.older(datetime.max.replace(tzinfo=UTC))
    assert sorted(kept) == sorted(image.key for image in record.images)


def test_more_jobs_than_rows_all_end(ledger: Ledger, worker) -> None:
    refs = [submit(ledger, seed=seed) for seed in range(12)]
    assert {ended(ledger, ref).state for ref in refs} == {JobStatus.SUCCEEDED}


def test_one_failed_image_fails_the_job_and_keeps_those_that_were_done(
    ledger: Ledger, worker
) -> None:
    record = ended(ledger, submit(ledger, n=3, prompt="fail 2"))
    assert record.state is JobStatus.FAILED
    assert record.error is not None
    assert record.error.code == "engine_error"
    assert [image.index for image in record.images] == [0, 1]


def test_an_order_the_engine_refuses_fails_with_its_code(ledger: Ledger, worker) -> None:
    record = ended(ledger, submit(ledger, n=2, prompt="refuse"))
    assert record.error is not None
    assert record.error.code == "engine_error"


def test_a_running_job_stops_when_it_is_canceled(ledger: Ledger, worker) -> None:
    ref = submit(ledger, prompt="for ever", n=4)
    when(ledger, ref, lambda record: record.progress and record.progress.step)
    ledger.run(commands.cancel(ref))
    assert ended(ledger, ref).state is JobStatus.CANCELED


def test_a_running_job_that_is_forgotten_leaves_the_engine(ledger: Ledger, worker) -> None:
    ref = submit(ledger, prompt="for ever")
    when(ledger, ref, lambda record: record.progress and record.progress.step)
    ledger.run(commands.forget(ref))
    assert ended(ledger, submit(ledger)).state is JobStatus.SUCCEEDED
    deadline = time.monotonic() + 10
    while not worker.engine.idle:
        assert time.monotonic() < deadline


def test_a_stopped_worker_hands_its_jobs_back_and_another_finishes_them(
    ledger: Ledger, storage: Storage
) -> None:
    first = Worker(ledger, storage)
    first.start()
    refs = [submit(ledger, prompt="for ever") for _ in range(3)]
    when(ledger, refs[0], lambda record: record.progress and record.progress.step)
    first.stop()
    assert {read(ledger, ref).state for ref in refs} == {JobStatus.QUEUED}
    assert {read(ledger, ref).crashes for ref in refs} == {0}
    assert ledger.run(commands.lines())[0].workers == 0


def test_pictures_a_dead_worker_had_finished_are_not_drawn_again(
    ledger: Ledger, storage: Storage
) -> None:
    ref = submit(ledger, n=2)
    [lease] = ledger.run(commands.claim("dead", ["shapes"], room=1, lease_s=0))
    ledger.run(commands.add_image(lease, image(0)))
    ledger.run(commands.sweep(lease_s=2))
    second = Worker(ledger, storage)
    second.start()
    record = ended(ledger, ref)
    second.stop()
    assert record.state is JobStatus.SUCCEEDED
    assert [order.index for order in second.engine.admitted] == [1]


def test_a_job_whose_pictures_are_all_there_only_needs_its_end(
    ledger: Ledger, storage: Storage
) -> None:
    ref = submit(ledger)
    [lease] = ledger.run(commands.claim("dead", ["shapes"], room=1, lease_s=0))
    ledger.run(commands.add_image(lease, image(0)))
    ledger.run(commands.sweep(lease_s=2))
    second = Worker(ledger, storage)
    second.start()
    assert ended(ledger, ref).state is JobStatus.SUCCEEDED
    second.stop()
    assert second.engine.admitted == []


def test_a_worker_that_lost_its_lease_publishes_nothing(ledger: Ledger, storage: Storage) -> None:
    worker = Worker(ledger, storage)
    worker.start()
    ref = submit(ledger, prompt="for ever")
    when(ledger, ref, lambda record: record.progress and record.progress.step)
    record = read(ledger, ref)
    ledger.run(commands.release(Lease(ref, record.fence, record)))  # behind its back
    when(ledger, ref, lambda record: record.claims == 2)  # it takes it up again, as a new claim
    worker.stop()
    assert read(ledger, ref).images == ()


def test_what_a_stopped_worker_saved_the_next_one_does_not_draw_again(
    ledger: Ledger, storage: Storage
) -> None:
    first = Worker(ledger, storage)
    first.start()
    ref = submit(ledger, prompt="for ever", num_inference_steps=1_000_000)
    when(ledger, ref, lambda record: record.progress and record.progress.step)
    first.stop()
    reached = read(ledger, ref).reached
    assert reached > 0
    [lease] = ledger.run(commands.claim("w2", ["shapes"], room=1, lease_s=5))
    saved = ledger.run(commands.checkpoints(lease))
    assert int(saved[0]) >= lease.record.reached
    ledger.run(commands.release(lease))
    second = Worker(ledger, storage)
    second.start()
    when(ledger, ref, lambda record: record.progress and record.progress.step > reached)
    second.stop()
    assert [order.checkpoint for order in second.engine.admitted] == [saved[0]]
    assert steps(second, "resumed") == int(saved[0])
    assert steps(second, "redone") == 0


def steps(worker: Worker, kind: str) -> float | None:
    return worker.metrics.registry.get_sample_value(f"latentry_steps_{kind}_total")


def test_what_a_dead_worker_had_not_saved_is_counted_as_drawn_again(
    ledger: Ledger, storage: Storage
) -> None:
    ref = submit(ledger)
    [lease] = ledger.run(commands.claim("dead", ["shapes"], room=1, lease_s=0))
    ledger.run(commands.checkpoint(lease, 0, b"1", budget_bytes=9))
    ledger.run(commands.progress([(lease, 3, 4)]))
    ledger.run(commands.sweep(lease_s=2))
    heir = Worker(ledger, storage)
    heir.start()
    assert ended(ledger, ref).state is JobStatus.SUCCEEDED
    heir.stop()
    assert (steps(heir, "resumed"), steps(heir, "redone")) == (1, 2)


def test_a_running_job_is_saved_again_and_again(ledger: Ledger, storage: Storage) -> None:
    worker = Worker(ledger, storage, checkpoint_s=0)
    worker.start()
    ref = submit(ledger, prompt="for ever", num_inference_steps=1_000_000, n=2)
    when(ledger, ref, lambda record: record.progress and record.progress.step)
    record = read(ledger, ref)
    lease = Lease(ref, record.fence, record)
    seen: set[int] = set()
    deadline = time.monotonic() + 15
    while len(seen) < 3:
        assert time.monotonic() < deadline
        seen |= {int(saved) for saved in ledger.run(commands.checkpoints(lease)).values()}
    worker.stop()


def test_a_spent_budget_costs_checkpoints_and_nothing_else(
    ledger: Ledger, storage: Storage
) -> None:
    worker = Worker(ledger, storage, checkpoint_s=0, checkpoint_bytes=1)
    worker.start()
    refs = [submit(ledger, num_inference_steps=50) for _ in range(3)]
    assert {ended(ledger, ref).state for ref in refs} == {JobStatus.SUCCEEDED}
    worker.stop()
    assert ledger.client.exists(f"{ledger.root}:checkpoints") == 0


def test_without_a_budget_nothing_is_ever_saved(ledger: Ledger, storage: Storage) -> None:
    worker = Worker(ledger, storage, checkpoint_s=0, checkpoint_bytes=0)
    worker.start()
    assert ended(ledger, submit(ledger, num_inference_steps=50)).state is JobStatus.SUCCEEDED
    ref = submit(ledger, prompt="for ever")
    when(ledger, ref, lambda record: record.progress and record.progress.step)
    worker.stop()
    assert worker.engine.saves == []


def test_a_job_whose_model_did_not_load_goes_back_for_others(
    ledger: Ledger, storage: Storage
) -> None:
    ref = submit(ledger, prompt="absent", n=2)
    left_alone: set[str] = set()
    worker = Worker(ledger, storage, failed=left_alone)
    submit_to_engine = worker.engine.submit

    def submitted(order: Order, *, goes_first: bool) -> None:
        left_alone.add("shapes")
        submit_to_engine(order, goes_first=goes_first)

    worker.engine.submit = submitted  # type: ignore[method-assign]
    worker.start()
    record = when(ledger, ref, lambda one: one.fence > 0 and one.state is JobStatus.QUEUED)
    worker.stop()
    assert record.error is None
    [lease] = ledger.run(commands.claim("w2", ["shapes"], room=1, lease_s=5))
    assert (lease.ref, lease.record.claims) == (ref, 2), "claimed once, by the other"


def test_what_calls_cost_is_kept_when_an_idle_study_has_ended(
    ledger: Ledger, storage: Storage
) -> None:
    kept = threading.Semaphore(0)
    worker = Worker(ledger, storage, on_studied=kept.release)
    worker.engine.to_calibrate = 3
    worker.start()
    assert kept.acquire(timeout=10)
    assert worker.engine.to_calibrate < 0
    worker.stop()
    assert not kept.acquire(blocking=False), "once"


class Promises:
    """A keepalive that remembers."""

    def __init__(self) -> None:
        self.made: list[float] = []

    def extend(self, seconds: float) -> None:
        self.made.append(seconds)


@pytest.mark.parametrize(
    ("is_loading", "test_s", "promised"),
    [(False, 0, HUNG_S), (True, 0, LOADING_S), (False, HUNG_S, PATIENCE * HUNG_S)],
)
def test_a_step_is_believed_for_long_while_a_model_is_loaded_or_where_steps_are_slow(
    ledger: Ledger, storage: Storage, is_loading: bool, test_s: float, promised: float
) -> None:
    keepalive = Promises()
    worker = Worker(ledger, storage, keepalive=keepalive, test_s=test_s)
    worker.engine.is_loading = is_loading
    worker.start()
    assert ended(ledger, submit(ledger)).state is JobStatus.SUCCEEDED
    worker.stop()
    *serving, leaving = keepalive.made
    assert set(serving) - {0} == {promised}
    assert leaving == LEAVE_S, "whoever leaves by himself is watched, too"


def test_the_catalogue_says_what_pictures_cost_here(ledger: Ledger, worker) -> None:
    deadline = time.monotonic() + 10
    cards: list[ModelCard] = []
    while not any(card.pace for card in cards):
        assert time.monotonic() < deadline, cards
        lines = ledger.run(commands.lines())
        cards = [ModelCard.model_validate_json(line.card) for line in lines]


def test_a_worker_does_not_count_for_a_model_that_it_cannot_load(
    ledger: Ledger, storage: Storage
) -> None:
    failed: set[str] = set()
    worker = Worker(ledger, storage, failed=failed)
    worker.claims.heartbeat.say()
    assert ledger.run(commands.lines())[0].workers == 1
    failed.add("shapes")
    deadline = time.monotonic() + 10
    while ledger.run(commands.lines())[0].workers:
        assert time.monotonic() < deadline
        worker.claims.heartbeat.say()
