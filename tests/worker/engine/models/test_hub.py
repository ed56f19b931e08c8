"""Pinned models of a hub: fetched once, only what is needed, then never requested again."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from latentry.errors import ConfigurationError, Unavailable
from latentry.sources import HubPin
from tests.worker.engine import tiny
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.models.sources.hub import blueprint_from_pin

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIN = HubPin("owner/dream", COMMIT)


class Hub:
    """As much of a hub as its client uses. `requests`: method and path of each."""

    def __init__(self, folder: Path) -> None:
        self.requests: list[str] = []
        self.folder = folder
        self.lost: set[str] = set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Answers, self))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def find(self, path: str) -> bytes | None:
        if path == f"/api/models/owner/dream/tree/{COMMIT}":
            return json.dumps(self.listing()).encode()
        name = path.removeprefix(f"/owner/dream/resolve/{COMMIT}/")
        return None if name == path or name in self.lost else (self.folder / name).read_bytes()

    def listing(self) -> list[dict[str, object]]:
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return [
            {
                "type": "file",
                "path": str(path.relative_to(self.folder)),
                "size": path.stat().st_size,
                "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
            }
            for path in files
        ]

    @property
    def sent(self) -> set[str]:
        resolve = f"GET /owner/dream/resolve/{COMMIT}/"
        return {one.removeprefix(resolve) for one in self.requests if one.startswith(resolve)}


class Answers(BaseHTTPRequestHandler):
    def __init__(self, hub: Hub, *args: Any) -> None:
        self.hub = hub
        super().__init__(*args)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.requests.append(f"{self.command} {path}")
        body = self.hub.find(path)
        if body is None:
            self.send_error(403)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository as they are: precisions side by side, a pickle, code, a whole checkpoint."""
    folder = tiny.make(tmp_path_factory.mktemp("hub") / "dream", tiny.EPSILON)
    for part, stem in {"unet": "diffusion_pytorch_model", "text_encoder": "model"}.items():
        weights = load_file(folder / part / f"{stem}.safetensors")
        half = {name: tensor.half() for name, tensor in weights.items()}
        save_file(half, folder / part / f"{stem}.fp16.safetensors")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "tokenizer" / "special_tokens_map.json").write_text('{"pad_token": "!"}')
    (folder / "unet" / "model.py").write_text("raise SystemExit")
    (folder / "dream-pruned.safetensors").write_bytes(b"gigabytes")
    return folder


@pytest.fixture
def hub(published: Path) -> Iterator[Hub]:
    hub = Hub(published)
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


def test_only_what_is_needed_is_fetched_and_once(hub: Hub, tmp_path: Path) -> None:
    blueprint = blueprint_from_pin(
        "dream", PIN, prefer_fp16=False, endpoint=hub.url, cache=tmp_path
    )
    assert blueprint.card.id == "dream"
    assert "unet/diffusion_pytorch_model.safetensors" in hub.sent
    assert "tokenizer/special_tokens_map.json" in hub.sent, "SD 2.x has its pad token there"
    assert {name.rpartition(".")[2] for name in hub.sent} <= {"json", "txt", "safetensors"}
    assert not any("fp16" in name or "pruned" in name for name in hub.sent)
    hub.requests.clear()
    again = blueprint_from_pin("dream", PIN, prefer_fp16=False, endpoint=hub.url, cache=tmp_path)
    assert again.card == blueprint.card
    assert hub.requests == []


def test_half_precision_is_fetched_where_that_is_wanted(hub: Hub, tmp_path: Path) -> None:
    blueprint = blueprint_from_pin("dream", PIN, prefer_fp16=True, endpoint=hub.url, cache=tmp_path)
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in hub.sent
    assert "unet/diffusion_pytorch_model.safetensors" not in hub.sent
    assert "vae/diffusion_pytorch_model.safetensors" in hub.sent, "there is no other"
    stored = blueprint.parts["unet"].weights.values()
    assert {one.info.dtype for one in stored} == {"F16"}


def test_shards_are_fetched_with_the_index_that_tells_which_belong_together(
    published: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "sharded"))
    stem = "diffusion_pytorch_model"
    whole = folder / "unet" / f"{stem}.safetensors"
    shard, old = f"{stem}-00001-of-00001.safetensors", f"{stem}-00001-of-00002.safetensors"
    shutil.copy(whole, whole.with_name(old))
    names = dict.fromkeys(load_file(whole), shard)
    index = whole.with_name(f"{stem}.safetensors.index.json")
    index.write_text(json.dumps({"weight_map": names}))
    whole.rename(whole.with_name(shard))
    hub = Hub(folder)
    try:
        blueprint = blueprint_from_pin(
            "dream", PIN, prefer_fp16=False, endpoint=hub.url, cache=tmp_path / "cache"
        )
    finally:
        hub.server.shutdown()
        hub.server.server_close()
    assert f"unet/{index.name}" in hub.sent
    assert {one.file.name for one in blueprint.parts["unet"].weights.values()} == {shard}


def test_a_fetch_that_broke_off_is_finished_by_the_next(hub: Hub, tmp_path: Path) -> None:
    hub.lost = {"vae/diffusion_pytorch_model.safetensors"}
    with pytest.raises(Unavailable, match="cannot be fetched"):
        blueprint_from_pin("dream", PIN, prefer_fp16=False, endpoint=hub.url, cache=tmp_path)
    hub.lost.clear()
    hub.requests.clear()
    blueprint = blueprint_from_pin(
        "dream", PIN, prefer_fp16=False, endpoint=hub.url, cache=tmp_path
    )
    assert blueprint.size_bytes(torch.float32) > 0
    assert "vae/diffusion_pytorch_model.safetensors" in hub.sent


def test_without_a_hub_the_cache_is_enough_and_an_empty_one_says_what_to_do(
    hub: Hub, tmp_path: Path
) -> None:
    blueprint_from_pin("dream", PIN, prefer_fp16=False, endpoint=hub.url, cache=tmp_path / "full")
    hub.requests.clear()
    blueprint_from_pin(
        "dream", PIN, prefer_fp16=False, endpoint="http://127.0.0.1:9", cache=tmp_path / "full"
    )
    assert hub.requests == []
    other = HubPin("owner/other", COMMIT)  # the client tries a dead address for twenty seconds
    with pytest.raises(Unavailable, match="with the same HF_HOME, or point at a folder"):
        blueprint_from_pin(
            "dream", other, prefer_fp16=False, endpoint=hub.url, cache=tmp_path / "empty"
        )


def test_what_the_cache_has_and_cannot_be_used_is_told_where_nothing_can_be_fetched(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blueprint_from_pin("dream", PIN, prefer_fp16=False, endpoint=hub.url, cache=tmp_path)
    [index] = tmp_path.rglob("model_index.json")
    text = index.read_text().replace("StableDiffusionPipeline", "StableDiffusionDepth2ImgPipeline")
    index.unlink()  # a link into the cache's blobs
    index.write_text(text)
    monkeypatch.setattr("worker.engine.models.sources.hub.HfApi.list_repo_files", _offline)
    with pytest.raises(Unavailable, match=r"not usable as it is in the cache .*Depth2ImgPipeline"):
        blueprint_from_pin("dream", PIN, prefer_fp16=False, endpoint=hub.url, cache=tmp_path)


def _offline(*_: object, **__: object) -> None:
    raise ConnectionError


@pytest.mark.parametrize("repo", ["my--org/m", "a/b.git"])
def test_a_name_that_no_hub_has_is_refused_for_good(repo: str, tmp_path: Path) -> None:
    backend = Diffusion(device="cpu", dtype="float32")
    with pytest.raises(ConfigurationError, match="HFValidationError"):
        backend.open({"m": HubPin(repo, COMMIT)})


def test_a_hub_that_cannot_be_reached_is_tried_again_unless_there_is_something_else_to_draw(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.models.sources.hub.HfApi.list_repo_files", _offline)
    pinned = HubPin("owner/other", COMMIT)
    with pytest.raises(Unavailable):
        Diffusion(device="cpu", dtype="float32").open({"there": pinned})
    cards = Diffusion(device="cpu", dtype="float32").open({"there": pinned, "here": published})
    assert [card.id for card in cards] == ["here"]
