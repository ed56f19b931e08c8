"""Jobs of kind clip: one order makes all frames; each is listed once, and the file comes last."""

import io
from typing import Any

import pytest
from PIL import Image

from latentry.contracts import JobStatus, OutputKind
from latentry.ledger import JobRecord, JobRef, Lease, Ledger, commands
from latentry.storage import Storage
from tests.latentry.ledger.factory import image, request
from tests.worker.harness import Worker, ended, submit
from tests.worker.publishing.conftest import simulated
from worker.claims.claimed_job import ClaimedJob
from worker.claims.inbox import Claimed
from worker.engine.loop import Engine
from worker.engine.simulated import Charge, Simulated

FRAMES = 5
WANTED = {"clip": {"frames": FRAMES, "output": "webp"}, "seed": 3}


def kinds(record: JobRecord) -> list[tuple[OutputKind, int]]:
    return [(one.kind, one.index) for one in record.outputs]


ALL = [*((OutputKind.FRAME, index) for index in range(FRAMES)), (OutputKind.CLIP, 0)]


def test_frames_are_listed_in_order_and_the_clip_after_them(
    ledger: Ledger, storage: Storage, drawing: Worker
) -> None:
    record = ended(ledger, submit(ledger, **WANTED))
    assert record.state is JobStatus.SUCCEEDED
    assert kinds(record) == ALL
    assert {one.seed for one in record.outputs} == {3}
    assert len({one.pixel_sha256 for one in record.images}) == FRAMES
    with Image.open(io.BytesIO(storage.get(record.outputs[-1].key))) as moving:
        assert moving.n_frames == FRAMES


def test_frames_alone_are_a_clip_too(ledger: Ledger, drawing: Worker) -> None:
    record = ended(ledger, submit(ledger, clip={"frames": 2}))
    assert kinds(record) == [(OutputKind.FRAME, 0), (OutputKind.FRAME, 1)]


@pytest.mark.parametrize("stored", [(), (0,), (1, 3), tuple(range(FRAMES))], ids=str)
def test_frames_of_a_dead_worker_stay_and_the_others_are_drawn_by_one_order(
    ledger: Ledger, storage: Storage, stored: tuple[int, ...]
) -> None:
    ref = submit(ledger, **WANTED)
    [lease] = ledger.run(commands.claim("dead", ["shapes"], room=1, lease_s=0))
    for index in stored:
        key = lease_key(storage, index)
        frame = image(index, key=key).model_copy(update={"kind": OutputKind.FRAME})
        ledger.run(commands.add_output(lease, frame))
    ledger.run(commands.sweep(lease_s=2))
    second = Worker(ledger, storage, engine=simulated())
    orders: list[Any] = []
    submitted = second.engine.submit
    second.engine.submit = lambda order, **kw: (orders.append(order), submitted(order, **kw))
    second.start()
    record = ended(ledger, ref)
    second.stop()
    assert record.state is JobStatus.SUCCEEDED
    assert kinds(record) == ALL
    assert len(orders) == (len(stored) < FRAMES)
    kept = [one.index for one in record.images if "dead" in one.key]
    assert kept == list(stored)


def lease_key(storage: Storage, index: int) -> str:
    """Where a frame of the dead worker lies."""
    file = io.BytesIO()
    Image.new("RGB", (128, 128), (index, 0, 0)).save(file, "PNG")
    key = f"default/gen_dead/1-{index}.png"
    storage.put(key, file.getvalue())
    return key


def test_a_canceled_clip_ends_once(ledger: Ledger, storage: Storage) -> None:
    worker = Worker(ledger, storage, engine=Engine(Simulated({"shapes": Charge(10.0, 1.0, 256)})))
    refs = [submit(ledger, num_inference_steps=50, **WANTED) for _ in range(2)]
    for ref in refs:
        ledger.run(commands.cancel(ref))
    worker.start()
    assert {ended(ledger, ref).state for ref in refs} == {JobStatus.CANCELED}
    worker.stop()


def claimed_clip(**fields: Any) -> ClaimedJob:
    ref = JobRef("default", "gen_1")
    record = JobRecord(ref, JobStatus.RUNNING, request(**WANTED, **fields), 1, 1)
    return ClaimedJob(Lease(ref, 1, record))


def test_no_worker_rests_between_the_frames_that_it_decodes(
    ledger: Ledger, storage: Storage
) -> None:
    worker, job = Worker(ledger, storage, engine=simulated()), claimed_clip(determinism="strict")
    worker.reporter.leases.track(job)
    worker.inbox.post(Claimed(job))
    rests = []
    while not job.is_drawn:
        rests.append(worker.loop.turn())
    worker.start()
    worker.stop()  # with its threads
    assert len(rests) >= FRAMES, "one frame at each turn"
    assert not any(rests)


def test_a_clip_yields_until_it_is_drawn() -> None:
    job = claimed_clip()
    assert [order.index for order in job.orders] == [0]
    assert job.orders[0].request.frames == FRAMES
    job.step(0, 1)
    assert job.steps_left == 3
    assert job.may_yield
    assert list(job.leave_engine(0)) == [0, 1, 2, 3, 4]
    assert job.is_drawn
    assert not job.may_yield


def test_a_clip_ends_with_its_file() -> None:
    job = claimed_clip()
    job.leave_engine(0)
    for index in range(FRAMES):
        assert job.close(index, image(index)) is None
    assert job.begins_clip()
    assert not job.begins_clip(), "once"
    assert job.close(0, name="clip") is not None
