"""A storage that does not take pictures costs time, and in the end the job; never a lost one."""

import threading
from typing import Any

import pytest

from latentry.contracts import JobStatus
from latentry.errors import LedgerUnavailable, StorageUnavailable
from latentry.ledger import Command, Ledger
from latentry.storage import Storage
from tests.worker.harness import OneByOne, Worker, ended, read, submit, when
from worker.claims.offer import Offer
from worker.publishing.publisher import Publisher


class Faulty:
    """Refuses the first so many pictures."""

    def __init__(self, sound: Storage, refuses: float) -> None:
        self._sound = sound
        self._refuses = refuses
        self.tries = 0

    def put(self, key: str, data: bytes) -> None:
        self.tries += 1
        if self.tries <= self._refuses:
            raise StorageUnavailable
        self._sound.put(key, data)

    def delete(self, key: str) -> None:
        self._sound.delete(key)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("publisher", "settling"):
        monkeypatch.setattr(f"worker.publishing.{module}.RETRY_S", 0.05)


def test_a_picture_is_tried_again_until_storage_takes_it(ledger: Ledger, storage: Storage) -> None:
    worker = Worker(ledger, Faulty(storage, 5))
    worker.start()
    record = ended(ledger, submit(ledger, n=2))
    worker.stop()
    assert record.state is JobStatus.SUCCEEDED
    assert all(storage.get(image.key) for image in record.images)


def test_a_storage_that_stays_away_fails_the_job_with_its_code(
    ledger: Ledger, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.publishing.publisher.PATIENCE_S", 0.3)
    worker = Worker(ledger, faulty := Faulty(storage, float("inf")))
    worker.start()
    record = ended(ledger, submit(ledger))
    worker.stop()
    assert record.error is not None
    assert (record.error.code, record.images) == ("storage_unavailable", ())
    assert faulty.tries > 1


def test_a_worker_that_stops_meanwhile_hands_the_job_back_uncharged(
    ledger: Ledger, storage: Storage
) -> None:
    first = Worker(ledger, faulty := Faulty(storage, float("inf")))
    first.start()
    ref = submit(ledger)
    when(ledger, ref, lambda _: faulty.tries > 1)
    first.stop()
    record = read(ledger, ref)
    assert (record.state, record.crashes) == (JobStatus.QUEUED, 0)
    second = Worker(ledger, storage, "w2")
    second.start()
    assert ended(ledger, ref).state is JobStatus.SUCCEEDED
    second.stop()


@pytest.mark.parametrize(("n", "unheard"), [(1, "worker/settle"), (2, "worker/add_output")])
def test_a_worker_that_stops_while_no_picture_can_be_listed_hands_the_job_back_uncharged(
    ledger: Ledger, storage: Storage, n: int, unheard: str
) -> None:
    class Deaf(OneByOne):
        tries = 0

        def run(self, command: Command[Any]) -> Any:
            if command.script == unheard:
                self.tries += 1
                raise LedgerUnavailable
            return super().run(command)

    worker = Worker(deaf := Deaf(ledger.client, ledger.root), storage)
    worker.start()
    ref = submit(ledger, n=n)
    when(ledger, ref, lambda _: deaf.tries > 1)
    worker.stop()
    record = read(ledger, ref)
    assert (record.state, record.crashes) == (JobStatus.QUEUED, 0)


def test_a_put_that_hangs_does_not_hold_up_the_end(
    ledger: Ledger, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.publishing.publisher.STOP_S", 0.2)
    hung, released, removed = threading.Event(), threading.Event(), threading.Event()

    class Hanging(Faulty):
        def put(self, key: str, data: bytes) -> None:
            hung.set()
            released.wait(30)
            super().put(key, data)

        def delete(self, key: str) -> None:
            super().delete(key)
            removed.set()

    worker = Worker(ledger, Hanging(storage, 0))
    worker.start()
    ref = submit(ledger)
    assert hung.wait(10)
    worker.stop()
    assert read(ledger, ref).state is JobStatus.QUEUED
    released.set()
    assert removed.wait(10), "the late picture finds its lease lost, and is removed"


@pytest.mark.parametrize("in_background", [0, 3])
def test_while_storage_refuses_one_job_of_any_kind_is_claimed_to_find_out(
    ledger: Ledger, storage: Storage, monkeypatch: pytest.MonkeyPatch, in_background: int
) -> None:
    """Where only upscales wait, nothing else would ever show that storage is back."""
    worker, offers = Worker(ledger, storage), list[Offer]()
    worker.engine.background_room = in_background
    monkeypatch.setattr(Publisher, "is_refused", True)
    monkeypatch.setattr(worker.claimer, "offer", offers.append)
    worker.loop.turn()
    [offer] = offers
    assert (offer.room, offer.background) == (1, min(1, in_background))
    after_one = offer.left(offer.received + 1)
    assert (after_one.room, after_one.background) == (0, min(1, in_background) - 1)
