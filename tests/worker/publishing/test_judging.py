"""What becomes of pictures by rules: a blocked one is neither stored nor an image nor paid for."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentry.contracts import Interpolation, JobStatus, Keyframe, OutputKind
from latentry.errors import PictureRefused
from latentry.ledger import JobRecord, Ledger, accounts, commands
from latentry.ledger.accounts import DayUsage
from latentry.storage import Storage
from tests.latentry.ledger.factory import request
from tests.worker.harness import Worker, ended, submit
from tests.worker.safety.brightness import Brightness, rule
from worker.claims.claimed_job import ClaimedJob
from worker.claims.inbox import Inbox
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop import Engine
from worker.engine.simulated import Charge, Simulated
from worker.metrics import Metrics
from worker.publishing.judging import Judging
from worker.publishing.picture import Picture
from worker.safety.judge import Judge

BRIGHT = 200  # a seed; those below 128 are dark


@pytest.fixture
def judging(ledger: Ledger, storage: Storage) -> Iterator[Worker]:
    worker = Worker(ledger, storage, judge=Judge(Brightness()))
    worker.start()
    yield worker
    worker.stop()


def usage(ledger: Ledger) -> DayUsage:
    today = datetime.now(UTC).date()
    [used] = ledger.run(accounts.read_usage("default", today, today))
    return used


def stored(storage: Storage, record: JobRecord) -> set[str]:
    return {key for key, _ in storage.list(f"default/{record.ref.id}")}


def test_a_blocked_picture_is_an_output_that_failed(
    ledger: Ledger, storage: Storage, judging: Worker
) -> None:
    record = ended(ledger, submit(ledger, rule(), seed=BRIGHT))
    assert record.state is JobStatus.FAILED
    assert record.error is not None
    assert (record.error.code, record.error.message) == (PictureRefused.code, "It is too bright.")
    assert record.images == ()
    [refused] = record.outputs
    assert (refused.kind, refused.index, refused.key) == (OutputKind.IMAGE, 0, "")
    assert refused.error == record.error
    assert refused.safety is not None
    assert (refused.safety.action, refused.safety.labels) == ("block", ["bright"])
    assert refused.pixel_sha256 == ""
    used = usage(ledger)
    assert (used.images, used.step_pixels, used.jobs) == (0, 0, {"failed": 1})
    assert used.rules == {"bright-block": {"block": 1}}


def test_the_other_pictures_of_a_job_stay(
    ledger: Ledger, storage: Storage, judging: Worker
) -> None:
    record = ended(ledger, submit(ledger, rule(), seed=126, n=4))
    assert record.state is JobStatus.SUCCEEDED
    assert [one.index for one in record.images] == [0, 1]
    assert [one.index for one in record.outputs if one.error] == [2, 3]
    assert [one.code for one in record.warnings].count("picture_refused") == 2
    assert "Image 2: It is too bright." in {one.message for one in record.warnings}
    assert usage(ledger).images == 2
    assert usage(ledger).rules == {"bright-block": {"block": 2}}
    kinds = [one.type.value for one in ledger.run(commands.list_events(record.ref))]
    assert (kinds.count("image"), kinds.count("output")) == (2, 2)
    for one in record.images:
        assert storage.get(one.key)


def test_what_the_operator_says_is_paid_for(ledger: Ledger, judging: Worker) -> None:
    record = ended(ledger, submit(ledger, rule(charge=True), seed=BRIGHT))
    assert record.state is JobStatus.FAILED
    used = usage(ledger)
    assert (used.images, used.step_pixels) == (0, 1_000_000)


def test_a_blurred_picture_is_stored_in_the_place_of_the_other(
    ledger: Ledger, storage: Storage
) -> None:
    engine = Engine(Simulated({"shapes": Charge(0.01, 0.001, 256)}))
    worker = Worker(ledger, storage, engine=engine, judge=Judge(Brightness()))
    worker.start()
    sharp = ended(ledger, submit(ledger, seed=3))
    soft = ended(ledger, submit(ledger, rule("blur", 0.0), seed=3))
    worker.stop()
    assert soft.state is JobStatus.SUCCEEDED
    [one], [other] = soft.images, sharp.images
    assert one.safety is not None
    assert one.safety.action == "blur"
    assert one.profile is None
    shown = np.asarray(Image.open(io.BytesIO(storage.get(one.key))))
    assert shown.shape == (128, 128, 3)
    assert other.safety is None


@pytest.mark.parametrize("action", ["none", "flag"])
def test_milder_actions_only_tell(
    ledger: Ledger, judging: Worker, storage: Storage, action: str
) -> None:
    record = ended(ledger, submit(ledger, rule(action), seed=BRIGHT))
    [one] = record.images
    assert one.safety is not None
    assert (one.safety.action, one.safety.scores["bright"]) == (action, round(BRIGHT / 255, 3))
    plain = ended(ledger, submit(ledger, seed=BRIGHT))
    assert plain.images[0].pixel_sha256 == one.pixel_sha256
    sample = judging.metrics.registry.get_sample_value
    labels = {"rule": f"bright-{action}", "tenant": "default", "action": action}
    assert sample("latentry_rules_applied_total", labels) == 1
    assert sample("latentry_pictures_judged_total", {"action": action}) == 1


def test_a_picture_that_cannot_be_judged_fails_its_job(ledger: Ledger, storage: Storage) -> None:
    worker = Worker(ledger, storage)
    worker.start()
    record = ended(ledger, submit(ledger, rule(), seed=0))
    worker.stop()
    assert record.state is JobStatus.FAILED
    assert record.error is not None
    assert record.error.code == "engine_error"
    assert record.outputs == ()


def way(output: str) -> dict[str, Any]:
    to = Keyframe.of(request(seed=BRIGHT))
    led = Interpolation(to=to, output=output, fps=10)
    return {"n": 4, "interpolation": led.model_dump(), "seed": 1}


@pytest.mark.parametrize("fields", [way("gif"), way("frames")])
def test_a_sequence_with_a_blocked_frame_has_no_file(
    ledger: Ledger, judging: Worker, fields: dict[str, Any]
) -> None:
    """Its first frames are dark, its last one is bright."""
    record = ended(ledger, submit(ledger, rule(), **fields))
    assert record.state is JobStatus.FAILED
    assert record.error is not None
    assert record.error.code == "picture_refused"
    assert OutputKind.CLIP not in {one.kind for one in record.outputs}
    assert [one.index for one in record.outputs if one.error] == [3]


def test_a_clip_with_blocked_frames_has_no_file(ledger: Ledger, storage: Storage) -> None:
    engine = Engine(Simulated({"shapes": Charge(0.01, 0.001, 256)}))
    worker = Worker(ledger, storage, engine=engine, judge=Judge(Brightness()))
    worker.start()
    wanted = {"clip": {"frames": 5, "output": "webp"}, "seed": 3}
    record = ended(ledger, submit(ledger, rule(threshold=0.0), **wanted))
    worker.stop()
    assert record.state is JobStatus.FAILED
    assert record.images == ()
    assert {one.kind for one in record.outputs} == {OutputKind.FRAME}


def test_what_a_dead_worker_s_rules_withheld_is_not_drawn_again(
    ledger: Ledger, storage: Storage
) -> None:
    ref = submit(ledger, rule(), seed=127, n=2)
    first = Worker(ledger, storage, judge=Judge(Brightness()))
    [lease] = ledger.run(commands.claim("dead", ["shapes"], room=1, lease_s=0))
    whole = ended_outputs(ledger, storage)
    refused = next(one for one in whole if one.error)
    ledger.run(commands.add_output(lease, refused.model_copy(update={"index": 1})))
    ledger.run(commands.sweep(lease_s=2))
    first.start()
    record = ended(ledger, ref)
    first.stop()
    assert record.state is JobStatus.SUCCEEDED
    assert [one.index for one in record.images] == [0]
    assert [order.index for order in first.engine.admitted] == [0]


def test_nor_is_the_rest_of_a_sequence_of_which_a_frame_was_withheld(
    ledger: Ledger, storage: Storage
) -> None:
    ref = submit(ledger, rule(), **way("gif"))
    [lease] = ledger.run(commands.claim("dead", ["shapes"], room=1, lease_s=0))
    refused = ended_outputs(ledger, storage)[0].model_copy(update={"kind": OutputKind.FRAME})
    ledger.run(commands.add_output(lease, refused))
    ledger.run(commands.sweep(lease_s=2))
    second = Worker(ledger, storage, judge=Judge(Brightness()))
    second.start()
    record = ended(ledger, ref)
    second.stop()
    assert record.state is JobStatus.FAILED
    assert record.error is not None
    assert (record.error.code, record.images) == ("picture_refused", ())


def test_what_is_laid_back_into_a_large_picture_is_judged_by_itself_too(ledger: Ledger) -> None:
    submit(ledger, rule())
    [lease] = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=60))
    job = ClaimedJob(lease)
    drawn, whole = np.full((64, 64, 3), 255, np.uint8), np.zeros((512, 512, 3), np.uint8)
    opacity = np.full((512, 512), 255, np.uint8)
    job.canvases = [Canvas(drawn, whole=whole, opacity=opacity, box=(0, 0, 32, 32))]
    judging = Judging(Judge(Brightness()), Metrics(), Inbox())
    found = judging.judged(Picture(job, 0, drawn))
    assert found.pixels.shape == whole.shape
    assert found.pixels.mean() < 2
    assert found.is_blocked
    assert found.verdict is not None
    assert found.verdict.safety.scores["bright"] == 1


def ended_outputs(ledger: Ledger, storage: Storage) -> tuple[Any, ...]:
    worker = Worker(ledger, storage, "w0", judge=Judge(Brightness()))
    worker.start()
    found = ended(ledger, submit(ledger, rule(), seed=BRIGHT)).outputs
    worker.stop()
    return found
