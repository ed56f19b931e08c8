"""Models in a folder of a running service: copied in, drawn with, broken, taken away."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from latentry.client import ApiError, Client
from latentry.contracts import JobStatus
from tests.e2e.conftest import SHAPES, settings_for
from tests.e2e.processes import Stack, until
from tests.valkey import Valkey


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def stack(
    valkey: Valkey, tmp_path_factory: pytest.TempPathFactory, folder: Path
) -> Iterator[Stack]:
    """A simulated model, and a folder without any."""
    settings = settings_for(
        valkey, tmp_path_factory.mktemp("e2e"), "folders", threads="1",
        models=f"sim=simulated:,{folder}", adapters="models/adapters", heartbeat_s="1",
    )  # fmt: skip
    with Stack(settings) as running:
        running.start_worker()
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url) as client:
        yield client


def test_a_model_is_copied_in_drawn_with_and_removed(
    client: Client, stack: Stack, folder: Path, valkey: Valkey
) -> None:
    def ids() -> set[str]:
        return {one["id"] for one in httpx.get(f"{stack.url}/v1/models").json()["data"]}

    def fitting() -> set[str]:
        adapters = httpx.get(f"{stack.url}/v1/adapters").json()["data"]
        return {one["id"] for one in adapters if "shapes-2" in one["models"]}

    def bells() -> list[bytes]:
        """Broker queues of the model in which some wait."""
        keys = valkey.client.keys("*folders.shapes-2")
        return [key for key in keys if valkey.client.type(key) == b"list"]

    assert ids() == {"sim"}
    (folder / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    shutil.copytree(SHAPES, folder / "Shapes 2")
    until(lambda: "shapes-2" in ids(), what="finding a new model")
    fields = {"model": "shapes-2", "seed": 1, "num_inference_steps": 2}
    assert client.generate("a red circle", **fields).images
    until(lambda: not bells(), what="taking the bells that were rung for it")
    until(lambda: "outlined" in fitting(), what="finding adapters that fit it")
    assert client.generate("a red circle <lora:outlined:1>", **fields).images
    assert ids() == {"sim", "shapes-2"}
    assert "model.unusable" in stack.text_of_logs()

    jobs = [client.submit("a red circle", model="shapes-2", num_inference_steps=60, n=2)]
    jobs += [client.submit("a red circle", **fields) for _ in range(2)]
    shutil.rmtree(folder / "Shapes 2")
    until(lambda: "shapes-2" not in ids(), what="missing a removed model")
    for one in jobs:
        ended = client.wait(one.id)
        assert ended.status in (JobStatus.SUCCEEDED, JobStatus.FAILED)
        assert ended.error is None or ended.error.code == "model_gone"
    with pytest.raises(ApiError) as refused:
        client.submit("a red circle", **fields)
    assert (refused.value.status, refused.value.code) == (404, "unknown_model")
    assert client.generate("a red circle", model="sim").images, "the worker is still there"
