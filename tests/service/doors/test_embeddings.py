"""Embeddings at the gateway: what prompts name becomes files, before anything is queued."""

import httpx
import pytest

from latentry.contracts import Adapter, AdapterKind, ClipFormat, RegisteredCard
from latentry.ledger import Ledger, commands
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker

EASY = Adapter(
    id="EasyNegative", kind=AdapterKind.EMBEDDING, family="SD 1.x", models=("shapes",),
    sha256="1" * 64, autov3="2" * 12, size_bytes=10, vectors=8, networks=("text_encoder",),
    trigger_words=("EasyNegative",),
)  # fmt: skip
LARGE = EASY.model_copy(
    update={"id": "large", "family": "SDXL", "models": (), "sha256": "3" * 64, "vectors": 2}
)
NAMED = {"id": "EasyNegative", "sha256": "1" * 64, "vectors": 8}


def register(ledger: Ledger, *adapters: Adapter) -> None:
    plain = card("shapes")
    limits = plain.limits.model_copy(update={"clips": tuple(ClipFormat), "max_frames": 4})
    facts = dict(plain) | {"family": "SD 1.x", "adapters": adapters, "limits": limits}
    ledger.run(commands.register_model(RegisteredCard(**facts)))


@pytest.fixture(autouse=True)
def closet(ledger: Ledger, worker: FakeWorker) -> None:
    register(ledger, EASY, LARGE)


async def submit(client: httpx.AsyncClient, prompt: str, **fields: object) -> dict:
    answer = await client.post("/v1/generations", json={"prompt": prompt, **fields})
    assert answer.status_code == 202, answer.text
    return answer.json()["request"]


async def test_they_are_listed(client: httpx.AsyncClient) -> None:
    first, second = (await client.get("/v1/adapters")).json()["data"]
    assert first == EASY.model_dump(mode="json")
    assert (first["kind"], first["vectors"], first["rank"]) == ("embedding", 8, 0)
    assert second["id"] == "large"


async def test_a_request_has_what_its_prompts_name(client: httpx.AsyncClient) -> None:
    request = await submit(client, "a frog", negative_prompt="(easynegative:1.2), blur")
    assert request["embeddings"] == [NAMED]
    assert request["negative_prompt"] == "(easynegative:1.2), blur"
    assert (await submit(client, "a large frog"))["embeddings"] == []
    plain = await submit(client, "EasyNegative", prompt_syntax="plain")
    assert plain["embeddings"] == []
    listed = [{"id": "easynegative"}]
    asked = await submit(client, "EasyNegative", prompt_syntax="plain", embeddings=listed)
    assert asked["embeddings"] == [NAMED]
    drawn = await submit(client, "{EasyNegative|<EasyNegative>}", prompt_syntax="dynamic")
    assert drawn["embeddings"] == [NAMED]


async def test_a_recipe_keeps_its_meaning_whatever_files_come_later(
    client: httpx.AsyncClient, ledger: Ledger
) -> None:
    first = await submit(client, "a frog, EasyNegative")
    sendable = {name: value for name, value in first.items() if value is not None}
    frog = EASY.model_copy(update={"id": "frog", "sha256": "4" * 64})
    register(ledger, EASY, frog)
    assert len((await submit(client, "a frog"))["embeddings"]) == 1
    again = await client.post("/v1/generations", json=sendable)
    assert again.json()["request"]["embeddings"] == [NAMED]
    register(ledger, EASY.model_copy(update={"sha256": "5" * 64}))
    changed = await client.post("/v1/generations", json=sendable)
    assert (changed.status_code, changed.json()["code"]) == (422, "adapter_changed")
    assert [one["pointer"] for one in changed.json()["errors"]] == ["/embeddings/0/id"]


@pytest.mark.parametrize(
    ("fields", "code", "at"),
    [
        ({"prompt": "<large>"}, "adapter_mismatch", "/prompt"),
        ({"negative_prompt": "(<large>:1.2)"}, "adapter_mismatch", "/negative_prompt"),
        ({"embeddings": [{"id": "huge"}]}, "unknown_adapter", "/embeddings/0/id"),
        ({"embeddings": [{"id": "large"}]}, "adapter_mismatch", "/embeddings/0/id"),
        ({"loras": [{"id": "EasyNegative"}]}, "adapter_mismatch", "/loras/0/id"),
    ],
)
async def test_what_cannot_be_used_is_refused_at_once(
    client: httpx.AsyncClient, fields: dict, code: str, at: str
) -> None:
    answer = await client.post("/v1/generations", json={"prompt": "a frog", **fields})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert [one["pointer"] for one in answer.json()["errors"]] == [at]
    assert not (await client.get("/v1/generations")).json()["data"]


async def test_each_picture_of_an_interpolation_has_its_own(client: httpx.AsyncClient) -> None:
    body = {"from": {"prompt": "a frog"}, "to": {"prompt": "<easynegative>"}, "frames": 3}
    job = (await client.post("/v1/interpolations", json=body)).json()
    assert job["request"]["embeddings"] == []
    assert job["request"]["interpolation"]["to"]["embeddings"] == [NAMED]
    body["to"] = {"prompt": "<large>"}
    refused = (await client.post("/v1/interpolations", json=body)).json()
    assert refused["code"] == "adapter_mismatch"
    assert [one["pointer"] for one in refused["errors"]] == ["/to/prompt"]


async def test_a_clip_may_name_them(client: httpx.AsyncClient) -> None:
    body = {"prompt": "a frog, easynegative", "frames": 2, "output": "frames"}
    job = (await client.post("/v1/clips", json=body)).json()
    assert job["request"]["embeddings"] == [NAMED]
    none = (await client.post("/v1/clips", json=body | {"embeddings": []})).json()
    assert none["request"]["embeddings"] == []


async def test_openais_door_takes_those_that_are_listed(client: httpx.AsyncClient) -> None:
    body = {"prompt": "a frog", "model": "shapes", "embeddings": [{"id": "large"}]}
    answer = await client.post("/v1/images/generations", json=body)
    assert answer.json()["error"]["code"] == "adapter_mismatch"
