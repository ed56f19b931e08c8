"""What a picture shows, in words, through the whole service."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from latentry.client import Client
from latentry.contracts import JobKind, JobStatus
from tests.e2e.conftest import settings_for
from tests.e2e.processes import Stack, until
from tests.valkey import Valkey
from tests.worker.engine.captioning import tiny_blip
from tests.worker.engine.captioning.test_captions import picture, stock


@pytest.fixture
def stack(valkey: Valkey, tmp_path: Path) -> Iterator[Stack]:
    """A gateway without workers, which have a captioner and are missed soon."""
    folder = tiny_blip.write(tmp_path / "tiny")
    soon = {"lease_s": "3", "heartbeat_s": "1", "threads": "1", "captioner": str(folder)}
    with Stack(settings_for(valkey, tmp_path, "captions", **soon)) as running:
        yield running


def png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(seed)).save(file, "PNG")
    return file.getvalue()


def test_captions_are_those_of_transformers_beside_images_and_after_a_death(
    stack: Stack, tmp_path: Path
) -> None:
    with Client(stack.url) as client:
        first = stack.start_worker()
        until(lambda: client.capabilities().captioner == "tiny", what="the captioner")
        image = client.submit("a red circle", num_inference_steps=60)
        expected = {seed: stock(tmp_path / "tiny", seed, 40)[0] for seed in range(3)}
        for seed, text in expected.items():
            job = client.caption(png(seed), timeout_s=100)
            assert (job.kind, job.caption, job.outputs) == (JobKind.CAPTION, text, [])
        assert client.wait(image.id, timeout_s=100).status is JobStatus.SUCCEEDED
        jobs = [client.submit_caption(png(seed)) for seed in expected]
        first.kill()
        stack.start_worker()
        for job, text in zip(jobs, expected.values(), strict=True):
            assert client.wait(job.id, timeout_s=100).caption == text


def test_automatic1111_s_clients_interrogate(stack: Stack, tmp_path: Path) -> None:
    webuiapi = pytest.importorskip("webuiapi", reason="webuiapi is not installed: `make setup`")
    api = webuiapi.WebUIApi(baseurl=f"{stack.url}/sdapi/v1")
    shown = Image.fromarray(picture(1))
    stack.start_worker()
    until(
        lambda: httpx.get(f"{stack.url}/v1/capabilities").json()["captioner"], what="the captioner"
    )
    assert api.interrogate(shown).info == stock(tmp_path / "tiny", 1, 40)[0]
    with pytest.raises(RuntimeError, match="Model not found"):
        api.interrogate(shown, model="deepdanbooru")
