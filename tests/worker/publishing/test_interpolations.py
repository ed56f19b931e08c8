"""Frames that become a clip: whoever drew them, and whatever happens on the way."""

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from latentry.contracts import (
    Interpolation,
    InterpolationRequest,
    JobStatus,
    Keyframe,
    OutputKind,
    ResolvedRequest,
)
from latentry.errors import StorageUnavailable
from latentry.ledger import JobRecord, JobRef, Lease, Ledger, commands
from latentry.storage import Storage
from tests.latentry.ledger.factory import image, request
from tests.worker.harness import Worker, ended, submit
from worker.claims.claimed_job import ClaimedJob, Outcome
from worker.engine.loop import Engine
from worker.engine.simulated import Charge, Simulated
from worker.publishing import frames, publisher

FRAMES = [(k, "") for k in range(4)]


def way(output: str = "gif", **fields: Any) -> dict[str, Any]:
    """The fields of a job of four frames."""
    to = Keyframe.of(request(seed=9, prompt="a blue star"))
    led = Interpolation(to=to, output=output, fps=10)
    return {"n": 4, "interpolation": led.model_dump(), **fields}


@pytest.fixture
def drawing(ledger: Ledger, storage: Storage) -> Iterator[Worker]:
    worker = Worker(ledger, storage, engine=Engine(Simulated({"shapes": Charge(0.01, 0.001, 256)})))
    worker.start()
    yield worker
    worker.stop()


def pixels(storage: Storage, key: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(storage.get(key))).convert("RGB"))


def listed(record: JobRecord) -> list[tuple[int, str]]:
    return [(output.index, output.name) for output in record.outputs]


def test_frames_are_listed_and_a_clip_of_them_comes_last(ledger, storage, drawing) -> None:
    record = ended(ledger, submit(ledger, **way()))
    assert record.state is JobStatus.SUCCEEDED
    assert listed(record) == [*FRAMES, (0, "clip")]
    *drawn, clip = record.outputs
    assert {one.kind for one in drawn} == {OutputKind.FRAME}
    assert (clip.kind, clip.content_type) == (OutputKind.CLIP, "image/gif")
    shown = [pixels(storage, one.key) for one in drawn]
    whole = hashlib.sha256(b"".join(one.tobytes() for one in shown))
    assert clip.pixel_sha256 == whole.hexdigest()
    with Image.open(io.BytesIO(storage.get(clip.key))) as moving:
        assert moving.info["duration"] == 100
        found = [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(moving)]
    assert all((a == b).all() for a, b in zip(found, shown, strict=True)), "each of one colour"


def test_first_and_last_are_the_plain_pictures_and_the_others_are_not(
    ledger, storage, drawing
) -> None:
    record = ended(ledger, submit(ledger, **way("frames")))
    assert listed(record) == FRAMES
    plain = [
        ended(ledger, submit(ledger, **fields)).images[0].pixel_sha256
        for fields in ({}, {"seed": 9, "prompt": "a blue star"})
    ]
    found = [one.pixel_sha256 for one in record.images]
    assert [found[0], found[-1]] == plain
    assert len(set(found)) == 4


def test_a_frame_s_file_says_what_it_is_and_how_to_make_all_again(ledger, storage, drawing) -> None:
    record = ended(ledger, submit(ledger, **way()))
    first, second, *_ = (
        Image.open(io.BytesIO(storage.get(one.key))).info for one in record.outputs[:2]
    )
    assert "Frame: 1 of 4, Profile" in first["parameters"]
    said = ["Frame: 2 of 4", "Frame weight: 0.3333333333333333", 'Towards: "a blue star"']
    assert all(part in second["parameters"] for part in [*said, "Seed: 7", "Towards seed: 9"])
    assert first["latentry"] == second["latentry"]
    again = InterpolationRequest.model_validate_json(second["latentry"])
    assert (again.frames, again.output, again.fps) == (4, "gif", 10)
    assert (again.from_.seed, again.to.seed, again.to.prompt) == (7, 9, "a blue star")
    assert "n" not in json.loads(second["latentry"])["from"]


def test_frames_of_a_dead_worker_are_in_the_clip(ledger, storage) -> None:
    ref = submit(ledger, **way())
    [lease] = ledger.run(commands.claim("dead", ["shapes"], room=1, lease_s=0))
    for index in range(4):
        file = io.BytesIO()
        Image.new("RGB", (128, 128), (index, 9, 9)).save(file, "PNG")
        key = f"default/{ref.id}/1-{index}.png"
        storage.put(key, file.getvalue())
        entry = image(index, key=key).model_copy(update={"kind": OutputKind.FRAME})
        ledger.run(commands.add_output(lease, entry))
    ledger.run(commands.sweep(lease_s=2))
    engine = Engine(Simulated({"shapes": Charge(0.01, 0.001, 256)}))
    second = Worker(ledger, storage, engine=engine)
    second.start()
    record = ended(ledger, ref)
    second.stop()
    assert record.state is JobStatus.SUCCEEDED
    assert listed(record) == [*FRAMES, (0, "clip")]
    with Image.open(io.BytesIO(storage.get(record.outputs[-1].key))) as moving:
        reds = [one.convert("RGB").getpixel((5, 5))[0] for one in ImageSequence.Iterator(moving)]
    assert reds == [0, 1, 2, 3], "nothing was drawn again"


def test_a_clip_waits_for_a_storage_that_does_not_answer(
    ledger, storage, drawing, monkeypatch
) -> None:
    monkeypatch.setattr(publisher, "RETRY_S", 0.01)
    get, refused = storage.get, []

    def sometimes(key: str) -> bytes:
        if len(refused) < 3:
            refused.append(key)
            raise StorageUnavailable
        return get(key)

    monkeypatch.setattr(type(storage), "get", lambda self, key: sometimes(key))
    record = ended(ledger, submit(ledger, **way()))
    assert record.state is JobStatus.SUCCEEDED
    assert listed(record) == [*FRAMES, (0, "clip")]
    assert len(refused) == 3


def test_a_worker_that_cannot_write_the_format_fails_the_job_by_name(
    ledger, storage, drawing, monkeypatch
) -> None:
    def missing(*_: object) -> bytes:
        raise ImportError

    monkeypatch.setattr(frames, "encode_clip", missing)
    record = ended(ledger, submit(ledger, **way("mp4")))
    assert record.state is JobStatus.FAILED
    assert record.error is not None
    assert "PyAV" in record.error.message
    assert listed(record) == FRAMES, "they are drawn, and stay"


def test_a_clip_that_waits_for_storage_counts_as_memory(
    ledger, storage, drawing, monkeypatch
) -> None:
    sizes, put = {}, storage.put

    def weighed(key: str, data: bytes) -> None:
        sizes[key] = drawing.metrics.registry.get_sample_value("latentry_worker_backlog_bytes")
        put(key, data)

    monkeypatch.setattr(type(storage), "put", lambda self, key, data: weighed(key, data))
    clip = ended(ledger, submit(ledger, **way())).outputs[-1]
    assert sizes[clip.key] == len(storage.get(clip.key))
    assert drawing.metrics.registry.get_sample_value("latentry_worker_backlog_bytes") == 0


def test_the_clip_of_a_canceled_job_is_not_encoded_to_its_end(
    ledger, storage, drawing, monkeypatch
) -> None:
    ref, get, read = submit(ledger, **way()), storage.get, []

    def canceled(key: str) -> bytes:
        read.append(key)
        ledger.run(commands.cancel(ref))
        [running] = drawing.loop._jobs.values()
        assert told.wait(10)
        assert running.ends_early
        return get(key)

    told = threading.Event()
    end_early = ClaimedJob.end_early

    def tells(one: ClaimedJob, outcome: Outcome) -> None:
        end_early(one, outcome)
        told.set()

    monkeypatch.setattr(ClaimedJob, "end_early", tells)
    monkeypatch.setattr(type(storage), "get", lambda self, key: canceled(key))
    record = ended(ledger, ref)
    assert record.state is JobStatus.CANCELED
    assert len(read) == 1, "of four frames"
    assert listed(record) == FRAMES


def job(made: ResolvedRequest) -> ClaimedJob:
    ref = JobRef("default", "gen_1")
    return ClaimedJob(Lease(ref, 1, JobRecord(ref, JobStatus.RUNNING, made, 1, 1)))


def test_a_clip_begins_once_when_all_frames_have_ended() -> None:
    one = job(request(**way()))
    for index in range(4):
        assert not one.begins_clip()
        assert one.close(index) is None
    assert one.begins_clip()
    assert not one.begins_clip(), "nobody is told twice"
    assert one.close(0, name="clip") == Outcome(JobStatus.SUCCEEDED)


def test_a_job_whose_clip_is_still_to_come_may_yield() -> None:
    one = job(request(**way()))
    one.step(0, 1)
    assert one.may_yield
    one.leave_engine(0)
    one.close(0)
    assert one.may_yield, "one is stored, and the others wait for nothing but the engine"
