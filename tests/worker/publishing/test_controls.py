"""What ControlNets see as outputs: stored once, whatever happens to image and worker."""

import io
from typing import Any

import numpy as np
from PIL import Image

from latentry.contracts import Control, InputFile, JobStatus, OutputKind
from latentry.errors import FileGone
from latentry.ledger import Ledger, commands
from latentry.storage import Storage
from tests.latentry.ledger.factory import image
from tests.worker.harness import Worker, ended, submit
from tests.worker.publishing.test_intermediates import claimed, simulated
from worker.claims.claimed_job import ClaimedJob, Outcome

FILE = InputFile(file="", pixel_sha256="1", width=8, height=8)
CONTROL = Control(id="lines", image=FILE, sha256="2" * 64)
WANTED: dict[str, Any] = {"controls": (CONTROL, CONTROL.model_copy(update={"weight": 0.0}))}


def prepare(job: ClaimedJob) -> None:
    """Show all of its controls some grey."""
    seen = np.full((128, 128, 3), 7, np.uint8)
    job.controls = [(seen,) for _ in job.lease.record.request.controls]


def test_one_with_an_effect_is_stored_once_for_all_images(ledger: Ledger, storage: Storage) -> None:
    worker = Worker(ledger, storage, engine=simulated(), prepare=prepare)
    worker.start()
    record = ended(ledger, submit(ledger, n=2, output_format="jpeg", **WANTED))
    worker.stop()
    assert record.state is JobStatus.SUCCEEDED
    assert len(record.images) == 2
    [shown] = [one for one in record.outputs if one.kind is OutputKind.CONTROL]
    assert (shown.index, shown.name, shown.content_type) == (0, "control-1", "image/png")
    file = Image.open(io.BytesIO(storage.get(shown.key)))
    assert file.getpixel((0, 0)) == (7, 7, 7)
    assert not file.info, "nothing of it was generated"


def test_a_worker_that_died_after_the_images_left_it_to_the_next(
    ledger: Ledger, storage: Storage
) -> None:
    ref = submit(ledger, **WANTED)
    lease = claimed(ledger)
    ledger.run(commands.add_output(lease, image(0)))
    ledger.run(commands.sweep(lease_s=2))
    worker = Worker(ledger, storage, engine=simulated(), prepare=prepare)
    worker.start()
    record = ended(ledger, ref)
    worker.stop()
    assert record.state is JobStatus.SUCCEEDED
    assert sorted(one.name for one in record.outputs) == ["", "control-1"]


def test_a_job_whose_picture_is_gone_ends_without_it(ledger: Ledger, storage: Storage) -> None:
    def gone(job: ClaimedJob) -> None:
        job.end_early(Outcome(JobStatus.FAILED, FileGone()))

    worker = Worker(ledger, storage, engine=simulated(), prepare=gone)
    worker.start()
    record = ended(ledger, submit(ledger, **WANTED))
    worker.stop()
    assert (record.state, record.outputs) == (JobStatus.FAILED, ())
