"""Workers that die in the middle of frames, and of the file that is made of them."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from latentry.contracts import Job, JobKind, JobStatus, OutputKind
from tests.e2e.processes import before_signing, until
from tests.faults.history import History
from tests.faults.house import SLOW, House, house

FRAMES, STEPS = 5, 30
DRAWN: dict[str, Any] = {
    "prompt": "a plain colour", "num_inference_steps": STEPS, "guidance_scale": 1.0, "seed": 3,
    "width": 64, "height": 64, "determinism": "strict",
}  # fmt: skip
FILE: dict[str, Any] = {"frames": FRAMES, "output": "webp"}


def submitted(one: House, kind: JobKind) -> Job:
    if kind is JobKind.CLIP:
        return one.client.submit_clip(**DRAWN, **FILE)
    return one.client.submit_interpolation(DRAWN, DRAWN | {"seed": 4, "prompt": "fog"}, **FILE)


def drawn(one: House, job: Job) -> list[tuple[OutputKind, int, str]]:
    """All that it stored, by place and by bytes before they were signed."""
    assert all(one.client.download(output) for output in job.outputs)
    return [(output.kind, output.index, before_signing(output)) for output in job.outputs]


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[House]:
    """Steps that one can see, and workers that are missed soon."""
    soon = {"lease_s": "3", "heartbeat_s": "1", "checkpoint_s": "0.2"}
    with house(tmp_path, models=SLOW, **soon) as made:
        yield made


def both(history: History) -> list[Job]:
    """An interpolation and a clip, accepted."""
    jobs = [
        history.note(partial(submitted, history.house, kind))
        for kind in (JobKind.INTERPOLATION, JobKind.CLIP)
    ]
    return [job for job in jobs if job]


def check(history: History, jobs: list[Job]) -> None:
    """All is stored once, with the bytes that it has where nobody dies."""
    one = history.house
    ends = [history.end_of(job.id) for job in jobs]
    assert [end.status for end in ends] == [JobStatus.SUCCEEDED] * 2
    frames = [(OutputKind.FRAME, index) for index in range(FRAMES)]
    stored = [drawn(one, end) for end in ends]
    for each in stored:
        assert [(kind, index) for kind, index, _ in each] == [*frames, (OutputKind.CLIP, 0)]
    undisturbed = [history.end_of(job.id) for job in both(history)]
    assert stored == [drawn(one, end) for end in undisturbed]
    assert {entry.state for entry in history.check().values()} == {JobStatus.SUCCEEDED}


def test_a_worker_that_is_killed_while_it_draws_frames_shows_in_no_byte(slow: House) -> None:
    """T1"""
    history = History(slow)
    worker = slow.worker()
    jobs = both(history)

    def are_half_drawn() -> bool:
        now = [slow.client.get(job.id).progress for job in jobs]
        return all(one and one.step >= STEPS // 2 for one in now)

    until(are_half_drawn, 60, "their steps")
    worker.kill()
    assert [slow.client.get(job.id).outputs for job in jobs] == [[], []]
    slow.worker()
    check(history, jobs)
    assert [slow.claims(job) for job in jobs] == [2, 2]


def test_workers_that_die_while_they_encode_clips_show_in_no_byte(slow: House) -> None:
    """T1"""
    history = History(slow)
    # An encoder reads a frame at a time: in the middle of one clip, and of the next one.
    points = ["before:get:3", f"before:get:{FRAMES + 3}"]
    first = slow.worker(f"die={points[0]}")
    jobs = both(history)
    until(lambda: len(list(slow.logs.glob("died.*"))) == 1, 60, "the first death")
    first.kill()  # its parent would start it again, to share the work with the next
    now = [slow.client.get(job.id) for job in jobs]
    assert {job.status for job in now} == {JobStatus.RUNNING}
    assert FRAMES in [len(job.outputs) for job in now], "all but the clip"
    slow.add("tests.faults.worker", f"die={points[1]}")
    until(lambda: len(list(slow.logs.glob("died.*"))) == 2, 60, "the second death")
    assert FRAMES + 1 in [len(slow.client.get(job.id).outputs) for job in jobs]
    slow.worker()
    check(history, jobs)


def test_an_encoder_that_hangs_ends_its_worker_and_shows_in_no_byte(slow: House) -> None:
    """T19"""
    history = History(slow)
    slow.worker("clip_hung_s=3")
    check(history, both(history))
    assert (slow.settings.data_dir / "hung").exists()
    assert slow.says("worker.hung") == slow.says("status=70") == 1
