"""VAEs at the gateway: resolved into hashes, refused before anything is queued."""

import json

import httpx
import pytest

from latentry.contracts import Adapter, AdapterKind, Job, RegisteredCard
from latentry.ledger import Ledger, commands
from latentry.provenance.infotext import infotext
from latentry.provenance.recipe import recipe
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker

GLASS = Adapter(
    id="Glass", kind=AdapterKind.VAE, family="SD 1.x", models=("shapes",), sha256="1" * 64,
    autov3="2" * 12, size_bytes=10, networks=("vae",),
)  # fmt: skip
LARGE = GLASS.model_copy(
    update={"id": "large", "family": "SDXL", "models": ("xl",), "sha256": "3" * 64}
)
INK = GLASS.model_copy(update={"id": "ink", "kind": AdapterKind.LORA})


@pytest.fixture(autouse=True)
def closet(ledger: Ledger, worker: FakeWorker) -> None:
    for model, family in (("shapes", "SD 1.x"), ("xl", "SDXL")):
        facts = dict(card(model)) | {"family": family, "adapters": (GLASS, LARGE, INK)}
        ledger.run(commands.register_model(RegisteredCard(**facts)))


@pytest.mark.parametrize("vae", ["glass", {"id": "GLASS"}, {"id": "Glass", "sha256": "1" * 64}])
async def test_a_job_names_the_file_that_it_means(client: httpx.AsyncClient, vae: object) -> None:
    body = {"prompt": "a frog", "model": "shapes", "vae": vae, "seed": 1}
    answer = await client.post("/v1/generations", json=body)
    job = Job.model_validate_json(answer.content)
    assert answer.json()["request"]["vae"] == {"id": "Glass", "sha256": "1" * 64}
    assert "VAE hash: 1111111111, VAE: Glass," in infotext(job.request, 1)
    again = await client.post("/v1/generations", json=json.loads(recipe(job.request, 1)))
    assert again.status_code == 202, again.text
    assert again.json()["request"]["vae"] == answer.json()["request"]["vae"]
    assert again.json()["cost"] == answer.json()["cost"]


@pytest.mark.parametrize(
    ("fields", "code", "at"),
    [
        ({"vae": "fog"}, "unknown_adapter", "/vae"),
        ({"vae": "large"}, "adapter_mismatch", "/vae"),
        ({"vae": "ink"}, "adapter_mismatch", "/vae"),
        ({"loras": [{"id": "glass"}]}, "adapter_mismatch", "/loras/0/id"),
        ({"vae": {"id": "glass", "sha256": "3" * 64}}, "adapter_changed", "/vae"),
        ({"vae": "../glass:x"}, "invalid_request", "/vae/id"),
    ],
)
async def test_what_cannot_be_done_is_refused_before_it_is_queued(
    client: httpx.AsyncClient, fields: dict, code: str, at: str
) -> None:
    body = {"prompt": "a frog", "model": "shapes"} | fields
    answer = await client.post("/v1/generations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert [one["pointer"] for one in answer.json()["errors"]] == [at]
    assert not (await client.get("/v1/generations")).json()["data"]


async def test_keyframes_have_one(client: httpx.AsyncClient) -> None:
    first, last = {"prompt": "a", "model": "shapes", "vae": "glass"}, {"prompt": "b"}
    body = {"from": first, "to": last | {"model": "shapes"}, "frames": 2}
    answer = await client.post("/v1/interpolations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "keyframes_differ")
    body["to"] = first | {"prompt": "b"}
    answer = await client.post("/v1/interpolations", json=body)
    assert answer.json()["request"]["vae"]["id"] == "Glass"


async def test_a_refiner_needs_to_fit_it_too(client: httpx.AsyncClient, ledger: Ledger) -> None:
    facts = dict(card("other")) | {"adapters": (GLASS, LARGE, INK)}
    ledger.run(commands.register_model(RegisteredCard(**facts)))
    body = {"prompt": "a", "model": "shapes", "vae": "glass", "refiner": "other"}
    answer = await client.post("/v1/generations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "adapter_mismatch")
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/vae"]
