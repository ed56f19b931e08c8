"""Steps that are stored: listed once each whatever happens, and no job ends without them."""

import io
import json
import threading
from typing import Any

import pytest
from PIL import Image

from latentry.contracts import JobStatus, OutputKind, StoredOutput
from latentry.errors import StorageUnavailable
from latentry.ledger import JobRecord, Lease, Ledger, commands
from latentry.rules.pricing import intermediates
from latentry.storage import Storage
from tests.latentry.ledger.factory import image, request
from tests.worker.claims.test_suspects import claimed_job
from tests.worker.harness import Worker, ended, read, submit, when
from tests.worker.publishing.conftest import simulated

WANTED = {"num_inference_steps": 5, "intermediates": {"every": 2}}
NAMES = ["latent-0002", "predicted-0002", "latent-0004", "predicted-0004", ""]
PICTURE = 128 * 128 * 3  # bytes of pixels


def listed(record: JobRecord) -> list[tuple[int, str]]:
    return [(output.index, output.name) for output in record.outputs]


@pytest.mark.parametrize("n", [1, 2])
def test_they_are_listed_in_order_and_lie_in_storage(
    ledger: Ledger, storage: Storage, drawing: Worker, n: int
) -> None:
    record = ended(ledger, submit(ledger, n=n, **WANTED))
    assert record.state is JobStatus.SUCCEEDED
    assert listed(record) == [(index, name) for index in range(n) for name in NAMES]
    assert [(one.index, one.kind) for one in record.images] == [
        (index, OutputKind.IMAGE) for index in range(n)
    ]
    kinds = {one.name: (one.kind.value, one.step) for one in record.outputs}
    assert kinds["latent-0004"] == ("latent", 4)
    assert kinds["predicted-0002"] == ("predicted", 2)
    assert kinds[""] == ("image", None)
    assert len({one.key for one in record.outputs}) == len(record.outputs)
    assert all(storage.get(one.key).startswith(b"\x89PNG") for one in record.outputs)


def test_a_file_says_what_it_is_and_how_to_make_it_again(
    ledger: Ledger, storage: Storage, drawing: Worker
) -> None:
    record = ended(ledger, submit(ledger, **WANTED))
    texts = {}
    for output in record.outputs:
        picture = Image.open(io.BytesIO(storage.get(output.key)))
        picture.load()
        texts[output.name] = picture.info
    assert "Intermediate: latent-0004, " in texts["latent-0004"]["parameters"]
    assert "Intermediate" not in texts[""]["parameters"]
    assert json.loads(texts["latent-0004"]["latentry"])["intermediates"]["every"] == 2
    assert "intermediates" not in json.loads(texts[""]["latentry"])


def test_variations_say_both_of_their_seeds_and_repeat_alone(
    ledger: Ledger, storage: Storage, drawing: Worker
) -> None:
    varied = {"seed": 3, "variation_seed": 8, "variation_strength": 0.2}
    record = ended(ledger, submit(ledger, n=2, **varied))
    assert [(one.seed, one.variation_seed) for one in record.images] == [(3, 8), (3, 9)]
    picture = Image.open(io.BytesIO(storage.get(record.images[1].key)))
    picture.load()
    again = json.loads(picture.info["latentry"])
    assert (again["seed"], again["variation_seed"], again["n"]) == (3, 9, 1)
    alone = ended(ledger, submit(ledger, **again))
    assert alone.images[0].pixel_sha256 == record.images[1].pixel_sha256


def claimed(ledger: Ledger, lease_s: float = 0) -> Lease:
    [lease] = ledger.run(commands.claim("dead", ["shapes"], room=1, lease_s=lease_s))
    return lease


def stored(index: int, step: int, kind: OutputKind) -> StoredOutput:
    name = f"{kind.value}-{step:04d}"
    update = {"kind": kind, "name": name, "step": step, "key": f"of-the-dead-{name}.png"}
    return image(index).model_copy(update=update)


def test_those_of_a_dead_worker_stay_and_the_missing_ones_are_drawn(
    ledger: Ledger, storage: Storage
) -> None:
    ref = submit(ledger, n=2, **WANTED)
    lease = claimed(ledger)
    before = [stored(0, 2, OutputKind.LATENT), stored(1, 4, OutputKind.PREDICTED)]
    for output in before:
        ledger.run(commands.add_output(lease, output))
    ledger.run(commands.sweep(lease_s=2))
    second = Worker(ledger, storage, engine=simulated())
    second.start()
    record = ended(ledger, ref)
    second.stop()
    assert record.state is JobStatus.SUCCEEDED
    assert listed(record) == [(index, name) for index in range(2) for name in NAMES]
    keys = {(one.index, one.name): one.key for one in record.outputs}
    for output in before:
        assert keys.pop((output.index, output.name)) == output.key
    assert not any("of-the-dead" in key for key in keys.values())


@pytest.mark.parametrize("has_all", [True, False])
def test_an_image_is_drawn_again_only_where_one_of_its_steps_is_missing(
    ledger: Ledger, storage: Storage, has_all: bool
) -> None:
    ref = submit(ledger, **WANTED)
    lease = claimed(ledger)
    kinds = (OutputKind.LATENT, OutputKind.PREDICTED)
    known = [stored(0, step, kind) for step in (2, 4) for kind in kinds]
    for output in (image(0), *(known if has_all else known[1:])):
        ledger.run(commands.add_output(lease, output))
    ledger.run(commands.sweep(lease_s=2))
    second = Worker(ledger, storage, engine=simulated())
    orders: list[Any] = []
    submitted = second.engine.submit
    second.engine.submit = lambda order, **kw: (orders.append(order), submitted(order, **kw))
    second.start()
    record = ended(ledger, ref)
    second.stop()
    assert listed(record) == [(0, name) for name in NAMES]
    assert len(orders) == (0 if has_all else 1)
    if not has_all:
        assert orders[0].listed == {"", *NAMES} - {"latent-0002"}


class Full:
    """A storage that takes nothing until it is opened."""

    def __init__(self, sound: Storage) -> None:
        self._sound = sound
        self.opened = threading.Event()
        self.asked = 0

    def put(self, key: str, data: bytes) -> None:
        self.asked += 1
        assert self.opened.wait(30)
        self._sound.put(key, data)


def test_they_wait_in_the_engine_while_memory_for_pictures_is_spent(
    ledger: Ledger, storage: Storage
) -> None:
    full = Full(storage)
    worker = Worker(ledger, full, engine=simulated(), backlog_bytes=4 * PICTURE)
    worker.start()
    ref = submit(ledger, num_inference_steps=40, intermediates={"every": 1})
    when(ledger, ref, lambda _: full.asked >= 3 and worker.engine.holds_intermediates)
    step = when(ledger, ref, lambda record: record.progress is not None).progress
    assert step is not None
    assert step.step < 40
    waiting = worker.metrics.registry.get_sample_value("latentry_worker_backlog_bytes")
    assert waiting is not None
    assert waiting <= 8 * PICTURE
    full.opened.set()
    record = ended(ledger, ref)
    worker.stop()
    assert record.state is JobStatus.SUCCEEDED
    assert len(record.outputs) == 81


class Refusing:
    """A storage that takes finished pictures only."""

    def __init__(self, sound: Storage) -> None:
        self._sound = sound

    def put(self, key: str, data: bytes) -> None:
        if "latent" in key:
            raise StorageUnavailable
        self._sound.put(key, data)


def test_a_job_whose_step_cannot_be_stored_does_not_succeed(
    ledger: Ledger, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.publishing.publisher.PATIENCE_S", 0.0)
    worker = Worker(ledger, Refusing(storage), engine=simulated())
    worker.start()
    record = ended(ledger, submit(ledger, **WANTED))
    worker.stop()
    assert record.state is JobStatus.FAILED
    assert record.error is not None
    assert record.error.code == "storage_unavailable"


def test_a_canceled_job_ends_once_what_is_on_its_way_is_stored(
    ledger: Ledger, storage: Storage
) -> None:
    full = Full(storage)
    worker = Worker(ledger, full, engine=simulated(), backlog_bytes=PICTURE)
    worker.start()
    ref = submit(ledger, num_inference_steps=9, intermediates={"every": 1, "kinds": ["latent"]})
    when(ledger, ref, lambda _: worker.engine.holds_intermediates and full.asked)
    ledger.run(commands.cancel(ref))
    when(ledger, ref, lambda _: worker.engine.idle)
    assert read(ledger, ref).state is JobStatus.RUNNING
    full.opened.set()
    record = ended(ledger, ref)
    worker.stop()
    assert record.state is JobStatus.CANCELED
    assert {output.name for output in record.outputs} <= {"latent-0001", "latent-0002"}
    assert record.outputs


def test_a_job_yields_only_while_no_output_of_it_is_on_its_way() -> None:
    job = claimed_job(crashes=0)
    job.step(0, 1)
    assert job.may_yield
    job.expect(0, "latent-0001")
    assert not job.may_yield
    job.close(0, name="latent-0001")
    assert job.may_yield


def test_a_job_ends_with_the_last_of_its_outputs() -> None:
    job = claimed_job(crashes=0)
    job.expect(0, "latent-0001")
    assert job.close(0, image(0)) is None
    assert job.close(0, name="latent-0001") is not None


def test_what_is_stored_follows_from_the_request_alone() -> None:
    wanted = request(num_inference_steps=7, intermediates={"every": 3, "kinds": ["predicted"]})
    assert intermediates(wanted) == {"predicted-0003": 3, "predicted-0006": 6}
    assert intermediates(request()) == {}


def test_the_record_of_an_ended_job_reads_its_outputs_in_order(
    ledger: Ledger, drawing: Worker
) -> None:
    ref = submit(ledger, num_inference_steps=12, intermediates={"every": 1, "kinds": ["latent"]})
    ended(ledger, ref)
    steps = [output.step for output in read(ledger, ref).outputs]
    assert steps == [*range(1, 13), None]
