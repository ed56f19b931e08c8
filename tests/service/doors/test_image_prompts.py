"""Image prompts at the gateway: pictures become files, adapters hashes, and nothing is silent."""

import base64
from pathlib import Path

import httpx
import pytest

from latentry.contracts import Adapter, AdapterKind, RegisteredCard
from latentry.ledger import Ledger, commands
from latentry.settings import Settings
from latentry.storage import open_storage
from tests.hostile.pictures import encoded
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker
from worker.claims.inputs import Inputs

EYE = Adapter(
    id="Eye", kind=AdapterKind.IP_ADAPTER, family="SD 1.x", models=("shapes",), sha256="1" * 64,
    autov3="2" * 12, size_bytes=10, rank=0, networks=("unet",),
)  # fmt: skip
LARGE = EYE.model_copy(update={"id": "large", "family": "SDXL", "models": (), "sha256": "3" * 64})
BLIND = EYE.model_copy(update={"id": "blind", "models": (), "reason": "It needs an encoder."})
INK = EYE.model_copy(update={"id": "ink", "kind": AdapterKind.LORA})
DATA = "data:image/jpeg;base64," + base64.b64encode(encoded("JPEG")).decode()
BODY = {"prompt": "a frog", "model": "shapes"}
ONE = {"id": "eye", "image": DATA}


@pytest.fixture(autouse=True)
def gallery(ledger: Ledger, worker: FakeWorker) -> None:
    facts = dict(card("shapes")) | {"family": "SD 1.x", "adapters": (EYE, LARGE, BLIND, INK)}
    ledger.run(commands.register_model(RegisteredCard(**facts)))


def stored(settings: Settings) -> list[Path]:
    return [path for path in (settings.data_dir / "images").rglob("file_*/*") if path.is_file()]


async def test_pictures_become_files_and_adapters_hashes(
    client: httpx.AsyncClient, worker: FakeWorker, settings: Settings
) -> None:
    prompts = [ONE, {**ONE, "weight": -0.5}]
    job = (await client.post("/v1/generations", json=BODY | {"image_prompts": prompts})).json()
    first, second = job["request"]["image_prompts"]
    assert (first["id"], first["weight"], first["sha256"]) == ("Eye", 1.0, "1" * 64)
    assert (second["weight"], second["image"]) == (-0.5, first["image"])
    assert (first["image"]["width"], first["image"]["height"]) == (40, 24)
    assert len(stored(settings)) == 1, "the same picture twice is one file"
    lease = worker.claim()
    shown = Inputs(open_storage(settings)).listed(lease)
    assert {at: one.shape for at, one in shown.items()} == {
        "image_prompts/0/image": (224, 224, 3),
        "image_prompts/1/image": (224, 224, 3),
    }
    assert lease.record.request.adapters == ("1" * 64,)
    request = {name: value for name, value in job["request"].items() if value is not None}
    again = (await client.post("/v1/generations", json=request)).json()
    assert again["request"]["image_prompts"] == job["request"]["image_prompts"]


@pytest.mark.parametrize("how", ["submit", "dry_run"])
@pytest.mark.parametrize(
    ("prompt", "code", "at", "why"),
    [
        ({"id": "nose"}, "unknown_adapter", "/image_prompts/1/id", "no adapter “nose”"),
        ({"id": "large"}, "adapter_mismatch", "/image_prompts/1/id", "SDXL models, and shapes"),
        ({"id": "blind"}, "adapter_mismatch", "/image_prompts/1/id", "It needs an encoder."),
        ({"id": "ink"}, "adapter_mismatch", "/image_prompts/1/id", "a LoRA, not an IP-Adapter"),
        ({"sha256": "2" * 64}, "adapter_changed", "/image_prompts/1/id", "another file"),
        ({"image": "https://127.0.0.1/a.png"}, "url_not_allowed", "/image_prompts/1/image", ""),
        ({"image": "data:image/gif;base64,"}, "unsupported_image", "/image_prompts/1/image", ""),
        ({"weight": "1"}, "invalid_request", "/image_prompts/1/weight", ""),
        ({"weight_type": "style"}, "invalid_request", "/image_prompts/1/weight_type", ""),
    ],
)
async def test_what_cannot_be_done_is_refused_before_it_is_queued(
    client: httpx.AsyncClient, settings: Settings, prompt: dict, code: str, at: str, why: str,
    how: str,
) -> None:  # fmt: skip
    body = BODY | {"image_prompts": [ONE, ONE | prompt], "dry_run": how == "dry_run"}
    answer = await client.post("/v1/generations", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == code
    assert [one["pointer"] for one in answer.json()["errors"]] == [at]
    assert why in answer.text
    assert not (await client.get("/v1/generations")).json()["data"]
    assert not stored(settings)


async def test_a_picture_that_is_gone_makes_no_job(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    gone = {"id": "eye", "image": "file_" + "0" * 32}
    answer = await client.post("/v1/generations", json=BODY | {"image_prompts": [ONE, gone]})
    assert (answer.status_code, answer.json()["code"]) == (422, "file_gone")
    assert not stored(settings), "nor keeps the other one"


async def test_what_goes_with_no_image_prompt_says_so(
    client: httpx.AsyncClient, ledger: Ledger
) -> None:
    facts = dict(card("refiner")) | {"family": "SD 1.x"}
    ledger.run(commands.register_model(RegisteredCard(**facts)))
    refined = BODY | {"image_prompts": [ONE], "refiner": "refiner"}
    ends = {"from": BODY | {"image_prompts": [ONE]}, "to": BODY | {"prompt": "a toad"}}
    for path, body, pointer in (
        ("/v1/generations", refined, "/image_prompts"),
        ("/v1/interpolations", ends | {"frames": 3}, "/from/image_prompts"),
        ("/v1/clips", BODY | {"image_prompts": [ONE]}, "/image_prompts"),
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code == 422, answer.text
        assert pointer in {one["pointer"] for one in answer.json()["errors"]}
