"""`latentry control` and `latentry caption` against the fake service."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from latentry.cli import jobs
from latentry.cli.drawing import caption, control, fetch
from latentry.contracts import JobKind
from latentry.testing import FakeService
from tests.latentry.cli import test_cli

Run = Callable[..., tuple[int, str, str]]

latentry = test_cli.latentry


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeService:
    service = FakeService()
    for command in (caption, control, fetch, jobs):
        monkeypatch.setattr(command, "connect", lambda _url, _key: service.client())
    file = io.BytesIO()
    Image.new("RGB", (64, 32), "red").save(file, "PNG")
    (tmp_path / "photo.png").write_bytes(file.getvalue())
    return service


def test_what_a_controlnet_would_be_shown_is_saved(
    latentry: Run,
    fake: FakeService,
    tmp_path: Path,
) -> None:
    options = ("--preprocess", "canny", "--thresholds", "40", "90", "--width", "32")
    code, out, _ = latentry("control", "photo.png", *options, "-o", "edges.webp")
    assert (code, out) == (0, "edges.webp\n")
    [job] = fake.jobs
    request = job.request
    assert (request.kind, request.preprocess) == (JobKind.CONTROL, "canny")
    assert (request.thresholds, request.final_size) == ((40, 90), (32, 16))
    assert request.output_format == "webp"
    with Image.open(tmp_path / "edges.webp") as saved:
        assert saved.size == (32, 16)


def test_a_caption_is_printed_and_saves_nothing(
    latentry: Run,
    fake: FakeService,
    tmp_path: Path,
) -> None:
    code, out, _ = latentry("caption", "photo.png", "--max-tokens", "9")
    assert (code, out) == (0, "a picture\n")
    assert fake.jobs[0].request.max_tokens == 9
    code, out, _ = latentry("caption", "photo.png", "--json")
    assert (code, json.loads(out)["caption"]) == (0, "a picture")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_a_caption_is_told_of_a_job_that_has_ended(latentry: Run, fake: FakeService) -> None:
    fake.next_job(warns=["prompt_truncated"])
    code, out, error = latentry("caption", "photo.png")
    assert (code, out) == (0, "a picture\n")
    assert "prompt_truncated" in error
    [job] = fake.jobs
    assert latentry("fetch", job.id)[:2] == (0, "a picture\n")
    assert "a picture" in latentry("status", job.id)[1].splitlines()


@pytest.mark.parametrize("command", ["control", "caption"])
def test_a_dry_run_makes_no_job(latentry: Run, fake: FakeService, command: str) -> None:
    code, out, _ = latentry(command, "photo.png", "--dry-run")
    assert code == 0
    assert "step-megapixel" in out
    assert not fake.jobs


def test_a_caption_that_fails_is_one_sentence(latentry: Run, fake: FakeService) -> None:
    fake.next_job(fails="out_of_memory")
    code, out, error = latentry("caption", "photo.png")
    assert (code, out) == (1, "")
    assert "out_of_memory" in error
