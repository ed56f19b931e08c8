"""Adapters' files as they come and go, and the jobs that name them."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from latentry.contracts import Adapter, AdapterKind, JobStatus, Lora
from latentry.errors import (
    AdapterGone,
    AdapterUnusable,
    ConfigurationError,
    ModelGone,
    NoAdapterRoom,
)
from latentry.ledger import JobRecord, JobRef, Ledger, commands
from latentry.sources import AdapterSource, parse_adapters
from tests.e2e.processes import until
from tests.latentry.ledger.factory import card, new_job, request
from tests.worker.claims import test_inputs
from tests.worker.harness import Worker, ended
from worker.claims.claimed_job import ClaimedJob
from worker.claims.claimer import Claimer, Offer
from worker.claims.inbox import Claimed, Inbox
from worker.claims.preparation.adapter_cache import AdapterCache
from worker.claims.preparation.adapter_files import AdapterFiles
from worker.claims.preparation.adapters import Adapters
from worker.claims.preparation.handover import READERS
from worker.claims.queue_choice import QueueChoice
from worker.claims.reporter import Reporter
from worker.engine.adapters.embedding.layout import is_embedding
from worker.engine.adapters.file import AdapterFile
from worker.engine.loop import LoadedAdapter


class Inspector:
    """Takes every file that does not begin with `bad`, and notes what it has looked at."""

    def __init__(self) -> None:
        self.looked: list[str] = []

    def __call__(self, path: Path) -> Adapter:
        self.looked.append(path.name)
        content = "".join(
            one.read_text() for one in (sorted(path.iterdir()) if path.is_dir() else [path])
        )
        if content.startswith("bad"):
            raise AdapterUnusable
        if content.startswith("odd"):
            raise RuntimeError
        return Adapter(
            id="", family="SD 1.x", models=("shapes",), sha256=content, autov3="",
            size_bytes=len(content), rank=1, networks=("unet",),
        )  # fmt: skip


def ids(files: AdapterFiles) -> dict[str, str]:
    return {one.id: one.sha256 for one in files.entries}


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_files_are_found_by_their_names_and_looked_at_once(tmp_path: Path) -> None:
    write(tmp_path / "one/Ink v1.5.safetensors", "1")
    write(tmp_path / "one/deep/pen.safetensors", "2")
    write(tmp_path / "one/peft/adapter_config.json", "3")
    write(tmp_path / "one/peft/adapter_model.safetensors", "4")
    write(tmp_path / "one/notes.txt", "5")
    write(tmp_path / "one/broken.safetensors", "bad")
    write(tmp_path / "one/strange.safetensors", "odd")
    write(tmp_path / "one/a,b.safetensors", "6")
    write(tmp_path / "two/pen.safetensors", "7")
    write(tmp_path / "single.safetensors", "8")
    inspector = Inspector()
    named = f"{tmp_path}/one, mine={tmp_path}/single.safetensors,{tmp_path}/two"
    files = AdapterFiles(parse_adapters(named), inspector)
    files.open()
    assert ids(files) == {"Ink v1.5": "1", "pen": "2", "peft": "34", "mine": "8"}
    assert files.path("34") == tmp_path / "one/peft"
    assert files.path("7") is None
    looked = len(inspector.looked)
    files.look()
    assert len(inspector.looked) == looked, "nothing has changed"


def test_a_file_is_read_once_over_all_starts(tmp_path: Path) -> None:
    write(tmp_path / "closet/ink.safetensors", "1")
    write(tmp_path / "closet/bad.safetensors", "bad")

    def started(identity: str = "models") -> list[str]:
        inspector, cache = Inspector(), AdapterCache(tmp_path / "data", identity)
        files = AdapterFiles([AdapterSource(tmp_path / "closet")], inspector, cache)
        files.open()
        assert ids(files).get("ink") == (tmp_path / "closet/ink.safetensors").read_text()
        return inspector.looked

    assert started() == ["bad.safetensors", "ink.safetensors"]
    assert started() == ["bad.safetensors"], "what could not be used is tried again"
    assert "ink.safetensors" in started("other models")
    write(tmp_path / "new", "2")
    (tmp_path / "new").replace(tmp_path / "closet/ink.safetensors")
    assert "ink.safetensors" in started()
    assert "ink.safetensors" not in started()
    for kept in (tmp_path / "data").iterdir():
        kept.write_text('{"a": [[], 1]}')
    assert "ink.safetensors" in started(), "a damaged cache is ignored"


def test_what_was_read_while_models_changed_is_kept_for_neither(tmp_path: Path) -> None:
    """It may fit the models before or after; at the next look it is read again."""
    write(tmp_path / "closet/ink.safetensors", "1")
    shelf = SimpleNamespace(edition=0, identity="before")
    looked = []

    def inspect(path: Path) -> Adapter:
        looked.append(shelf.identity)
        if looked == ["before"]:
            shelf.edition, shelf.identity = 1, "after"
        return Inspector()(path)

    def started(identity: str) -> AdapterFiles:
        cache = AdapterCache(tmp_path / "data", identity)
        files = AdapterFiles([AdapterSource(tmp_path / "closet")], inspect, cache, shelf)
        files.open()
        return files

    files = started("before")
    for _ in range(2):
        files.look()
    assert looked == ["before", "after"]
    started("after")
    assert looked == ["before", "after"], "that was kept"
    shelf.identity = "before"
    started("before")
    assert looked[2:] == ["before"], "and that was not"


def test_pickles_are_listed_and_never_read(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """With a sentence that says how to convert them; once that is done they do not matter."""
    for name in ("Old.pt", "deep/learned_embeds-steps-500.bin", "Both.pt", "unet/weights.bin"):
        write(tmp_path / "one" / name, "bad, and never looked at")
    write(tmp_path / "two/Both.safetensors", "1")
    inspector = Inspector()
    files = AdapterFiles(parse_adapters(f"{tmp_path}/one,{tmp_path}/two"), inspector)
    files.open()
    both, old, learned = files.entries
    assert inspector.looked == ["Both.safetensors"]
    assert (both.id, both.sha256) == ("Both", "1")
    assert (old.id, learned.id) == ("Old", "learned_embeds-steps-500")
    for one in (old, learned):
        assert (one.kind, one.models, one.sha256) == (AdapterKind.EMBEDDING, (), "")
        assert (one.reason or "").startswith("It is a pickle, which can run code when it is read")
        assert "safetensors.torch.save_file" in (one.reason or "")
    said = capsys.readouterr()
    assert "adapter.unusable" in said.out + said.err
    assert "name_twice" not in said.out + said.err
    write(tmp_path / "one/Old.safetensors", "2")
    files.look()
    assert ids(files)["Old"] == "2"


@pytest.mark.parametrize(
    "saved",
    [
        {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.ones(2, 4)}, "name": "x"},
        {"<cat-toy>": torch.ones(2, 4)},
    ],
)
def test_the_sentence_says_what_converts_them(tmp_path: Path, saved: dict) -> None:
    """As AUTOMATIC1111 and diffusers saved them."""
    torch.save(saved, tmp_path / "x.pt")
    data = torch.load(tmp_path / "x.pt", weights_only=True)
    [vectors] = data.get("string_to_param", data).values()
    save_file({"emb_params": vectors}, tmp_path / "x.safetensors")
    file = AdapterFile.read(tmp_path / "x.safetensors")
    assert is_embedding(file)
    assert [one.shape for one in file.header.tensors.values()] == [(2, 4)]


@pytest.mark.parametrize("name", [b"\xff", b"\xed\xa0\x80", "\u2028".encode(), b"\x7f"])
def test_a_name_that_no_catalogue_can_carry_is_left_out(tmp_path: Path, name: bytes) -> None:
    with open(os.fsencode(tmp_path) + b"/" + name + b".safetensors", "w") as file:
        file.write("1")
    write(tmp_path / "größer.safetensors", "2")
    files = AdapterFiles([AdapterSource(tmp_path)], Inspector())
    files.open()
    assert ids(files) == {"größer": "2"}


def test_they_come_change_and_go_while_the_worker_runs(tmp_path: Path) -> None:
    write(tmp_path / "ink.safetensors", "1")
    files = AdapterFiles([AdapterSource(tmp_path)], Inspector())
    files.open()
    write(tmp_path / "pen.safetensors", "2")
    files.look()
    assert ids(files) == {"ink": "1", "pen": "2"}
    write(tmp_path / "new", "3")
    (tmp_path / "new").replace(tmp_path / "ink.safetensors")  # same name, size and perhaps time
    files.look()
    assert ids(files) == {"ink": "3", "pen": "2"}
    assert files.path("1") is None
    write(tmp_path / "ink.safetensors", "bad, for as long as it is copied")
    (tmp_path / "pen.safetensors").unlink()
    files.look()
    assert ids(files) == {}
    write(tmp_path / "ink.safetensors", "4")
    files.look()
    assert ids(files) == {"ink": "4"}


def test_an_image_encoder_is_no_adapter_and_those_beside_it_follow_it(tmp_path: Path) -> None:
    """It belongs to what they are, as in the repository h94/IP-Adapter."""
    write(tmp_path / "models/eye.safetensors", "1")
    write(tmp_path / "sdxl_models/gaze.safetensors", "2")
    write(tmp_path / "else/pen.safetensors", "3")
    write(tmp_path / "models/image_encoder/config.json", "{}")
    write(tmp_path / "models/image_encoder/model.safetensors", "4")
    inspector = Inspector()
    files = AdapterFiles([AdapterSource(tmp_path)], inspector)
    files.open()
    assert ids(files) == {"eye": "1", "gaze": "2", "pen": "3"}
    inspector.looked.clear()
    files.look()
    assert not inspector.looked
    (tmp_path / "models/image_encoder/model.safetensors").unlink()
    write(tmp_path / "models/image_encoder/model.safetensors", "other")
    files.look()
    assert {"eye.safetensors", "gaze.safetensors"} <= set(inspector.looked)
    assert "model.safetensors" not in inspector.looked


def test_a_path_that_does_not_exist_is_no_silence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="which does not exist"):
        AdapterFiles([AdapterSource(tmp_path / "none")], Inspector()).open()


@pytest.mark.parametrize("text", ["=a", "a=", "a, b="])
def test_settings_that_name_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a folder nor"):
        parse_adapters(text)


class FakeShelf:
    """Loads strings."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked: list[Mapping[str, Path]] = []

    def inspect(self, path: Path) -> Adapter:
        raise AdapterUnusable

    identity = "fake"

    @property
    def held(self) -> frozenset[str]:
        return frozenset()

    def load(self, model: str, files: Mapping[str, Path]) -> Mapping[str, LoadedAdapter]:
        self.asked.append(files)
        if self.failure:
            raise self.failure
        return {one: f"{model} {one}" for one in files}  # type: ignore[misc]


@pytest.fixture
def files(tmp_path: Path) -> AdapterFiles:
    write(tmp_path / "closet/ink.safetensors", "1")
    found = AdapterFiles([AdapterSource(tmp_path / "closet")], Inspector())
    found.open()
    return found


def create(ledger: Ledger, *loras: Lora) -> JobRef:
    job = new_job(request=request(loras=loras))
    return ledger.run(commands.create(job, max_queued=9)).ref


def lora(sha256: str = "1", weight: float = 1.0) -> Lora:
    return Lora(id="ink", weight=weight, text_encoder_weight=weight, sha256=sha256)


def claiming(
    ledger: Ledger, files: AdapterFiles, shelf: FakeShelf, **options: Any
) -> tuple[Claimer, Inbox]:
    inbox, queues = Inbox(), QueueChoice(["shapes"], tuple)
    reporter = Reporter(ledger, inbox, "w1", [card()], lease_s=60, heartbeat_s=5)
    prepare = Adapters(files, shelf).prepare
    claimer = Claimer(ledger, inbox, "w1", queues, reporter, lease_s=60, prepare=prepare, **options)
    claimer.offer(Offer(room=4))
    return claimer, inbox


def posted(inbox: Inbox, count: int) -> list[ClaimedJob]:
    """So many claimed jobs, as they come."""
    jobs: list[ClaimedJob] = []
    while len(jobs) < count:
        assert inbox.wait(10), "another one comes"
        jobs += [message.job for message in inbox.take() if isinstance(message, Claimed)]
    return jobs


def test_a_jobs_images_get_its_adapters(
    ledger: Ledger, files: AdapterFiles, tmp_path: Path
) -> None:
    shelf = FakeShelf()
    create(ledger, lora(), lora("gone", 0.0))
    claimer, inbox = claiming(ledger, files, shelf)
    claimer.work()
    [job] = posted(inbox, 1)
    [order] = job.orders
    assert order.adapters == {"1": "shapes 1"}, "one without effect is not even looked for"
    assert shelf.asked == [{"1": tmp_path / "closet/ink.safetensors"}]


def test_a_file_that_another_worker_saw_first_is_found(
    ledger: Ledger, files: AdapterFiles, tmp_path: Path
) -> None:
    """Workers look every few seconds, and a job may come sooner."""
    create(ledger, lora("new"))
    write(tmp_path / "closet/pen.safetensors", "new")
    claimer, inbox = claiming(ledger, files, FakeShelf())
    claimer.work()
    [job] = posted(inbox, 1)
    assert not job.ends_early
    assert job.adapters == {"new": "shapes new"}


def test_jobs_that_load_adapters_keep_none_with_a_picture_waiting(
    ledger: Ledger, files: AdapterFiles
) -> None:
    loaded = threading.Event()

    class Slow(FakeShelf):
        def load(self, model: str, files: Mapping[str, Path]) -> Mapping[str, LoadedAdapter]:
            assert loaded.wait(10)
            return super().load(model, files)

    slow = [create(ledger, lora()) for _ in range(READERS)]
    with_picture = test_inputs.create(ledger, image=test_inputs.NAMED)
    claimer, inbox = claiming(ledger, files, Slow())
    claimer.offer(Offer(room=READERS + 1))
    claimer.work()
    assert [job.lease.ref for job in posted(inbox, 1)] == [with_picture]
    loaded.set()
    assert {job.lease.ref for job in posted(inbox, READERS)} == set(slow)


@pytest.mark.parametrize(
    ("named", "failure", "code"),
    [
        ("2", None, "adapter_gone"),
        ("1", AdapterGone(), "adapter_gone"),
        ("1", AdapterUnusable(), "adapter_unusable"),
        ("1", RuntimeError(), "engine_error"),
    ],
)
def test_a_job_whose_file_cannot_be_used_ends_with_a_code(
    ledger: Ledger, files: AdapterFiles, storage, named: str, failure: Exception | None, code: str
) -> None:
    ref = create(ledger, lora(named))
    worker = Worker(ledger, storage, prepare=Adapters(files, FakeShelf(failure)).prepare)
    worker.start()
    found: JobRecord = ended(ledger, ref)
    worker.stop()
    assert found.state is JobStatus.FAILED
    assert found.error
    assert found.error.code == code


def test_a_job_whose_model_goes_before_its_adapters_are_loaded_is_left_to_other_workers(
    ledger: Ledger, files: AdapterFiles
) -> None:
    ref = create(ledger, lora())
    claimer, inbox = claiming(ledger, files, FakeShelf(ModelGone()))
    claimer.work()

    def is_back() -> bool:
        record = ledger.run(commands.get(ref))
        assert record
        assert (record.error, record.crashes) == (None, 0)
        return record.claims == 1 and record.state is JobStatus.QUEUED

    until(is_back, 10)
    assert not inbox.take()
    claimer.queues.remove("shapes")
    other = Reporter(ledger, Inbox(), "w2", [card()], lease_s=60, heartbeat_s=5)
    other.report()
    ledger.run(commands.withdraw_model("w1", "shapes"))
    assert is_back(), "another one has the model"


def test_without_room_only_jobs_that_need_some_are_left_for_a_second(
    ledger: Ledger, files: AdapterFiles
) -> None:
    cold, warm = create(ledger, lora()), create(ledger, lora("2"))
    plain = create(ledger)
    ledger.run(commands.hold("w1", ["2"], ttl_s=60))
    now = [100.0]

    class Full(FakeShelf):
        def load(self, model: str, files: Mapping[str, Path]) -> Mapping[str, LoadedAdapter]:
            loaded = super().load(model, files)
            if "1" in files and now[0] < 101:
                raise NoAdapterRoom
            return loaded

    write(files._sources[0].path / "pen.safetensors", "2")
    shelf = Full()
    claimer, inbox = claiming(ledger, files, shelf, clock=lambda: now[0])
    claimer.work()
    assert {job.lease.ref for job in posted(inbox, 2)} == {warm, plain}

    def is_queued() -> bool:
        record = ledger.run(commands.get(cold))
        assert record
        assert record.crashes == 0
        return record.state is JobStatus.QUEUED

    until(is_queued, 10)
    more = create(ledger)  # while it is full
    claimer.offer(Offer(room=4, received=2))
    claimer.work()
    assert [job.lease.ref for job in posted(inbox, 1)] == [more]
    assert is_queued()
    now[0] += 1
    claimer.work()
    assert [job.lease.ref for job in posted(inbox, 1)] == [cold], "without another hint"


def test_without_room_a_job_waits_and_others_do_not(
    ledger: Ledger, files: AdapterFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.claims.preparation.handover.PAUSE_S", 0)
    waiting, plain = create(ledger, lora()), create(ledger)
    shelf = FakeShelf(NoAdapterRoom())
    claimer, inbox = claiming(ledger, files, shelf)

    def found() -> JobRecord:
        record = ledger.run(commands.get(waiting))
        assert record
        return record

    for _ in range(3):
        claimer.work()
        until(lambda: found().state is JobStatus.QUEUED, 10)
    assert [job.lease.ref for job in posted(inbox, 1)] == [plain]
    assert len(shelf.asked) > 1, "it is tried again"
    assert found().crashes == 0


def test_of_two_workers_the_one_that_has_the_adapter_gets_the_job(
    ledger: Ledger, files: AdapterFiles
) -> None:
    held = {"cold": set[str](), "warm": {"1"}}
    claimers, inboxes, reporters = {}, {}, {}
    for name in held:
        inbox, queues = Inbox(), QueueChoice(["shapes"], tuple)
        reporter = Reporter(
            ledger, inbox, name, [card()], lease_s=60, heartbeat_s=60, held=lambda n=name: held[n]
        )
        reporter.report()
        prepare = Adapters(files, FakeShelf()).prepare
        claimer = Claimer(ledger, inbox, name, queues, reporter, lease_s=60, prepare=prepare)
        claimer.offer(Offer(room=4))
        claimers[name], inboxes[name], reporters[name] = claimer, inbox, reporter
    first = create(ledger, lora())
    for name in held:
        claimers[name].work()
    assert [job.lease.ref for job in posted(inboxes["warm"], 1)] == [first]
    held["cold"], held["warm"] = {"1"}, set()  # evicted here, loaded there
    for reporter in reporters.values():
        reporter.report()
    second = create(ledger, lora())
    for name in ("warm", "cold"):
        claimers[name].hear()
        claimers[name].work()
    assert [job.lease.ref for job in posted(inboxes["cold"], 1)] == [second]


def test_a_folder_of_diffusers_is_one_adapter(tmp_path: Path) -> None:
    write(tmp_path / "canny/config.json", "1")
    write(tmp_path / "canny/diffusion_pytorch_model.safetensors", "2")
    write(tmp_path / "depth/diffusion_pytorch_model.safetensors", "3")
    files = AdapterFiles([AdapterSource(tmp_path)], Inspector())
    files.open()
    assert ids(files) == {"canny": "12", "diffusion_pytorch_model": "3"}
    assert files.path("12") == tmp_path / "canny"
