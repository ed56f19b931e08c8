"""The loop between ledger, engine and storage: a real Valkey, real threads, a fake engine."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from latentry.contracts import JobStatus
from latentry.ledger import Command, Lease, Ledger, commands
from latentry.storage import Storage
from tests.latentry.ledger.factory import image
from tests.worker.harness import OneByOne, Worker, ended, read, submit, when
from worker.claims.claimer import Offer
from worker.claims.inbox import StopAsked
from worker.engine.loop import Order


def test_a_job_becomes_pictures_in_storage(ledger: Ledger, storage: Storage, worker) -> None:
    record = ended(ledger, submit(ledger, n=3, seed=5))
    assert record.state is JobStatus.SUCCEEDED
    assert [image.seed for image in record.images] == [5, 6, 7]
    assert all(storage.get(image.key).startswith(b"\x89PNG") for image in record.images)
    assert [warning.code for warning in record.warnings] == ["fake"]


class Forgetful(OneByOne):
    """Answers that a picture is listed, and is killed before it is written down."""

    def run(self, command: Command[Any]) -> Any:
        return None if command.script == "worker/add_output" else super().run(command)


def test_no_job_succeeds_without_the_pictures_that_a_killed_ledger_forgot(
    ledger: Ledger, storage: Storage
) -> None:
    worker = Worker(Forgetful(ledger.client, ledger.root), storage)
    worker.start()
    record = ended(ledger, submit(ledger, n=3))
    worker.stop()
    assert record.state is JobStatus.SUCCEEDED
    assert [image.index for image in record.images] == [0, 1, 2]


class Robbed(OneByOne):
    """Somebody else has the job when this worker is about to settle it for the first time."""

    is_robbed = False

    def run(self, command: Command[Any]) -> Any:
        if command.script == "worker/settle" and not self.is_robbed:
            self.is_robbed = True
            ref, fence = command.args[:2]
            super().run(Command("worker/release", (ref, fence), bool))
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


def test_a_published_picture_makes_room_for_the_next_job_at_once(
    ledger: Ledger, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.loop.IDLE_S", 60)
    worker = Worker(ledger, storage)
    refs = [submit(ledger) for _ in range(12)]
    worker.start()
    assert {ended(ledger, ref).state for ref in refs} == {JobStatus.SUCCEEDED}
    worker.stop()


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


def test_a_stop_that_overtakes_its_job_ends_it_when_it_arrives(
    ledger: Ledger, storage: Storage
) -> None:
    worker = Worker(ledger, storage)
    ref = submit(ledger, prompt="for ever", n=2)
    worker.claimer.offer(Offer(room=1))
    worker.claimer.work()
    claimed = worker.inbox.take()
    worker.inbox.post(StopAsked(ref), *claimed)
    worker.thread.start()  # without the reporter: no renewal says it again
    record = ended(ledger, ref)
    worker.stop()
    assert (record.state, record.claims) == (JobStatus.CANCELED, 1)


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
    assert ledger.run(commands.list_models())[0].workers == 0


def test_pictures_a_dead_worker_had_finished_are_not_drawn_again(
    ledger: Ledger, storage: Storage
) -> None:
    ref = submit(ledger, n=2)
    [lease] = ledger.run(commands.claim("dead", ["shapes"], room=1, lease_s=0))
    ledger.run(commands.add_output(lease, image(0)))
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
    ledger.run(commands.add_output(lease, image(0)))
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


def test_a_job_whose_refiner_does_not_load_fails_and_does_not_come_back_without_end(
    ledger: Ledger, storage: Storage, worker: Worker
) -> None:
    """Its queue is that of its model, which this worker goes on to claim from."""
    ref = submit(ledger, prompt="absent", refiner="other")
    record = ended(ledger, ref)
    assert record.error
    assert (record.error.code, record.claims) == ("model_not_loaded", 1)


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
    claims = read(ledger, ref).claims
    assert claims <= 2, "a claim may be on its way as the model does not load"
    [lease] = ledger.run(commands.claim("w2", ["shapes"], room=1, lease_s=5))
    assert (lease.ref, lease.record.claims) == (ref, claims + 1)
