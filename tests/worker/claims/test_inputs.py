"""The pictures that jobs start from: read before the step loop, and no job ends by chance."""

import io
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from latentry.contracts import InputFile, JobStatus
from latentry.errors import FileGone, StorageUnavailable
from latentry.ledger import JobRecord, JobRef, Lease, Ledger, commands, files
from latentry.storage import Storage, file_key, open_storage
from tests.e2e.processes import until
from tests.latentry.ledger.factory import card, new_job, request
from tests.worker.harness import Worker, ended
from worker.claims.claimed_job import ClaimedJob
from worker.claims.claimer import Claimer, Offer
from worker.claims.inbox import Claimed, Inbox
from worker.claims.inputs import Inputs
from worker.claims.queue_choice import QueueChoice
from worker.claims.reporter import Reporter
from worker.engine.inputs.canvas import Canvas

FILE = "file_" + "1" * 32
NAMED = InputFile(file=FILE, pixel_sha256="0" * 64, width=2, height=1)


def png(width: int = 2) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, 1), "red").save(file, "PNG")
    return file.getvalue()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.claims.claimer.POLL_S", 0)
    monkeypatch.setattr("worker.claims.preparation.handover.PAUSE_S", 0)


def create(ledger: Ledger, **inputs: InputFile) -> JobRef:
    job = new_job(request=request(**inputs))
    for file in sorted(set(job.files.values())):
        ref = files.FileRef.parse(file)
        new = files.NewFile(ref, 1, "0" * 64, 1, 1)
        ledger.run(files.keep(new, ttl_ms=60_000, max_files=9, max_bytes=9))
    return ledger.run(commands.create(job, max_queued=9)).ref


def claimer(
    ledger: Ledger, load: Callable[[Lease], Canvas | None], **more: Any
) -> tuple[Claimer, Inbox]:
    inbox, queues = Inbox(), QueueChoice(["shapes"], tuple)
    reporter = Reporter(ledger, inbox, "w1", [card()], lease_s=60, heartbeat_s=5)

    class Loading(Inputs):
        def load(self, lease: Lease) -> Canvas | None:
            return load(lease)

    prepare = Loading(None).prepare
    made = Claimer(ledger, inbox, "w1", queues, reporter, lease_s=60, prepare=prepare, **more)
    made.offer(Offer(room=4))
    return made, inbox


def posted(inbox: Inbox, count: int) -> list[ClaimedJob]:
    """So many claimed jobs, as they come."""
    jobs: list[ClaimedJob] = []
    while len(jobs) < count:
        assert inbox.wait(10), "another one comes"
        jobs += [message.job for message in inbox.take() if isinstance(message, Claimed)]
    assert len(jobs) == count
    return jobs


def record(ledger: Ledger, ref: JobRef) -> JobRecord:
    found = ledger.run(commands.get(ref))
    assert found
    return found


def test_the_orders_have_a_canvas(ledger: Ledger, settings) -> None:
    storage = open_storage(settings)
    storage.put(file_key("default", FILE), png())
    create(ledger, image=NAMED, mask=NAMED)
    claiming, inbox = claimer(ledger, Inputs(storage).load)
    claiming.work()
    [job] = posted(inbox, 1)
    [order] = job.orders
    assert order.canvas
    assert (order.canvas.picture == (255, 0, 0)).all()
    assert order.canvas.repainted is not None


@pytest.mark.parametrize("content", [b"no picture", png()[:40], png(width=3)])
def test_what_is_not_the_picture_that_was_stored_is_none(
    ledger: Ledger, settings, content: bytes
) -> None:
    storage = open_storage(settings)
    storage.put(file_key("default", FILE), content)
    create(ledger, image=NAMED)
    claiming, inbox = claimer(ledger, Inputs(storage).load)
    claiming.work()
    [job] = posted(inbox, 1)
    assert job.ends_early


def test_jobs_without_inputs_do_not_wait_for_storage(ledger: Ledger) -> None:
    """Neither those that are claimed together, nor those that come while a picture is read."""
    slow, fast = create(ledger, image=NAMED), create(ledger)
    is_there = threading.Event()

    def load(lease: Lease) -> Canvas | None:
        assert not lease.record.request.inputs() or is_there.wait(10)
        return None

    claiming, inbox = claimer(ledger, load)
    claiming.work()
    assert [job.lease.ref for job in posted(inbox, 1)] == [fast]
    later = [create(ledger) for _ in range(3)]
    claiming.offer(Offer(room=3, received=1))
    claiming.work()
    assert [job.lease.ref for job in posted(inbox, 2)] == later[:2], "what is read takes room"
    is_there.set()
    assert [job.lease.ref for job in posted(inbox, 1)] == [slow]


def test_jobs_whose_inputs_cannot_be_read_now_are_handed_back_uncharged(ledger: Ledger) -> None:
    plain, *waiting = create(ledger), create(ledger, image=NAMED), create(ledger, image=NAMED)
    tries: list[JobRef] = []

    def refuse(lease: Lease) -> Canvas | None:
        if not lease.record.request.inputs():
            return None
        tries.append(lease.ref)
        raise StorageUnavailable

    claiming, inbox = claimer(ledger, refuse)
    for _ in range(5):
        claiming.work()
        until(lambda: {record(ledger, ref).state for ref in waiting} == {JobStatus.QUEUED}, 10)
    assert [job.lease.ref for job in posted(inbox, 1)] == [plain]
    assert len(tries) >= 5, "they are tried again"
    for ref in waiting:
        assert record(ledger, ref).crashes == 0
    assert ledger.run(commands.sweep(lease_s=60)).unreadable == ()
    assert [record(ledger, ref).crashes for ref in waiting] == [0, 0]
    more = [create(ledger) for _ in range(3)]
    claiming.offer(Offer(room=5, received=1))
    claiming.work()
    assert {job.lease.ref for job in posted(inbox, len(more))} == set(more), "they take no room"


def test_after_a_refusal_nothing_is_claimed_for_a_while(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.claims.preparation.handover.PAUSE_S", 1.0)
    ref, now, tries = create(ledger, image=NAMED), [0.0], list[JobRef]()

    def refuse(lease: Lease) -> Canvas | None:
        tries.append(lease.ref)
        raise StorageUnavailable

    claiming, _ = claimer(ledger, refuse, clock=lambda: now[-1])
    for at_s, times in ((10.0, 1), (10.9, 1), (11.1, 2)):
        now.append(at_s)
        claiming.work()
        until(lambda: record(ledger, ref).state is JobStatus.QUEUED, 10)
        assert len(tries) == times


def test_a_job_whose_file_is_missing_fails_and_says_so(ledger: Ledger, settings) -> None:
    ref = create(ledger, image=NAMED)
    worker = Worker(ledger, open_storage(settings))
    worker.start()
    found = ended(ledger, ref)
    worker.stop()
    assert found.state is JobStatus.FAILED
    assert found.error
    assert found.error.code == FileGone.code


def test_a_job_is_drawn_once_storage_is_back(ledger: Ledger, settings) -> None:
    refusals = [1, 2]

    class Moody(Storage):
        def get(self, key: str) -> bytes:
            if refusals:
                refusals.pop()
                raise StorageUnavailable
            return Storage.get(self, key)

    opened = open_storage(settings)
    opened.put(file_key("default", FILE), png())
    ref = create(ledger, image=NAMED)
    worker = Worker(ledger, Moody(opened.store, opened.link, opened.root))
    worker.start()
    found = ended(ledger, ref)
    worker.stop()
    assert (found.state, found.crashes) == (JobStatus.SUCCEEDED, 0)
    assert worker.engine.admitted[0].canvas


def test_a_picture_that_cannot_be_made_ready_fails_its_job_and_no_other(ledger: Ledger) -> None:
    create(ledger, image=NAMED), create(ledger)

    def fail(lease: Lease) -> Canvas | None:
        if lease.record.request.inputs():
            raise MemoryError
        return None

    claiming, inbox = claimer(ledger, fail)
    claiming.work()
    assert [job.ends_early for job in posted(inbox, 2)] == [False, True]


def test_pictures_of_lists_are_read_by_place_and_each_file_once(settings) -> None:
    storage = open_storage(settings)
    storage.put(file_key("default", FILE), png())
    reads = []

    class Counted:
        def get(self, key: str) -> bytes:
            reads.append(key)
            return storage.get(key)

    places = dict.fromkeys(("controls/0/image", "controls/1/image", "image_prompts/0/image"), NAMED)
    lease = SimpleNamespace(
        ref=JobRef("default", "gen_1"),
        record=SimpleNamespace(request=SimpleNamespace(inputs=lambda: {**places, "image": NAMED})),
    )
    found = Inputs(Counted()).listed(lease)
    assert found.keys() == places.keys()
    assert all((one == (255, 0, 0)).all() for one in found.values())
    assert {at: one.shape for at, one in found.items()} == {
        "controls/0/image": (1, 2, 3),
        "controls/1/image": (1, 2, 3),
        "image_prompts/0/image": (224, 224, 3),
    }
    assert len(reads) == 1
