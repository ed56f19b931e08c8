"""Pictures on their way to storage: many at once, and no more than memory has room for."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from latentry.contracts import JobStatus
from latentry.errors import StorageUnavailable
from latentry.ledger import Command, JobRef, Ledger
from latentry.storage import Storage
from tests.worker.harness import Worker, ended, read, submit, when
from worker.publishing.backlog import Backlog

PICTURE = 128 * 128 * 3  # bytes of pixels


class Held:
    """A storage that takes pictures when it is told to."""

    def __init__(self, sound: Storage, *, is_away: bool = False) -> None:
        self._sound = sound
        self.is_away = is_away
        self.opened = threading.Event()
        self.asked: set[str] = set()

    def put(self, key: str, data: bytes) -> None:
        self.asked.add(key)
        if self.is_away:
            raise StorageUnavailable
        assert self.opened.wait(30)
        self._sound.put(key, data)


def states(ledger: Ledger, refs: Sequence[JobRef]) -> list[JobStatus]:
    return [read(ledger, ref).state for ref in refs]


def test_pictures_wait_for_a_slow_storage_side_by_side(ledger: Ledger, storage: Storage) -> None:
    held = Held(storage)
    worker = Worker(ledger, held)
    worker.start()
    refs = [submit(ledger, seed=seed) for seed in range(20)]
    when(ledger, refs[-1], lambda _: len(held.asked) == len(refs))  # none of them is stored
    held.opened.set()
    assert {ended(ledger, ref).state for ref in refs} == {JobStatus.SUCCEEDED}
    worker.stop()


def test_a_worker_whose_pictures_fill_its_memory_claims_no_more_until_some_are_stored(
    ledger: Ledger, storage: Storage
) -> None:
    held = Held(storage)
    worker = Worker(ledger, held, backlog_bytes=3 * PICTURE)
    worker.start()
    refs = [submit(ledger, seed=seed) for seed in range(12)]
    when(ledger, refs[0], lambda _: len(held.asked) >= 3)
    when(ledger, refs[0], lambda _: worker.engine.idle)
    bytes_waiting = worker.metrics.registry.get_sample_value("latentry_worker_backlog_bytes")
    assert bytes_waiting is not None
    assert 3 * PICTURE <= bytes_waiting <= 6 * PICTURE, "and what was drawn by then"
    assert states(ledger, refs).count(JobStatus.QUEUED) >= 6
    held.opened.set()
    assert {ended(ledger, ref).state for ref in refs} == {JobStatus.SUCCEEDED}
    worker.stop()


def test_while_storage_refuses_one_job_at_a_time_finds_out_whether_it_is_back(
    ledger: Ledger, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("RETRY_S", 0.01), ("PATIENCE_S", 0.05)):
        monkeypatch.setattr(f"worker.publishing.publisher.{name}", seconds)
    away = Held(storage, is_away=True)
    worker = Worker(ledger, away)
    worker.start()
    first = submit(ledger)
    assert ended(ledger, first).state is JobStatus.FAILED
    refs = [submit(ledger, seed=seed) for seed in range(6)]
    running = 0
    while not read(ledger, refs[1]).state.is_terminal:
        # The last one first: by the time that one is read which ran before it, that has ended.
        running = max(running, states(ledger, refs[::-1]).count(JobStatus.RUNNING))
    assert running == 1
    away.is_away = False
    away.opened.set()
    assert ended(ledger, refs[-1]).state is JobStatus.SUCCEEDED
    worker.stop()


def test_images_that_end_while_the_ledger_is_busy_go_to_it_together(
    ledger: Ledger, storage: Storage
) -> None:
    is_busy, goes_on, settled = threading.Event(), threading.Event(), []

    class Counting(Ledger):
        def run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
            settled.append(sum(one.script == "worker/settle" for one in commands))
            is_busy.set()
            assert goes_on.wait(30)
            return super().run_all(commands)

    held = Held(storage)
    held.opened.set()
    worker = Worker(Counting(ledger.client, ledger.root), held)
    worker.start()
    refs = [submit(ledger, seed=seed) for seed in range(9)]
    assert is_busy.wait(30)

    def is_all_stored(_: object) -> bool:
        waiting = worker.metrics.registry.get_sample_value("latentry_worker_backlog_bytes")
        return len(held.asked) == len(refs) and waiting == 0

    when(ledger, refs[0], is_all_stored)
    goes_on.set()
    assert {ended(ledger, ref).state for ref in refs} == {JobStatus.SUCCEEDED}
    worker.stop()
    assert sum(settled) == len(refs)
    assert len(settled) < len(refs)


def test_room_that_comes_free_is_told_once() -> None:
    backlog = Backlog(10)
    backlog.add(8)
    assert backlog.has_room
    backlog.add(8)
    assert not backlog.has_room
    assert [backlog.remove(4), backlog.remove(4), backlog.remove(8)] == [False, True, False]
