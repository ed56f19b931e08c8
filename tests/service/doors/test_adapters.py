"""LoRAs at the gateway: listed, resolved into hashes, refused before anything is queued."""

from collections.abc import Sequence

import httpx
import pytest

from latentry.contracts import Adapter, RegisteredCard
from latentry.ledger import CatalogueEntry, Ledger, commands
from service.jobs import catalogue
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker

INK = Adapter(
    id="Ink", family="SD 1.x", models=("shapes",), sha256="1" * 64, autov3="2" * 12,
    size_bytes=10, rank=4, networks=("unet", "text_encoder"), title="Ink",
    trigger_words=("inky",),
)  # fmt: skip
LARGE = INK.model_copy(
    update={"id": "large", "family": "SDXL", "models": ("xl",), "sha256": "3" * 64}
)


@pytest.fixture(autouse=True)
def closet(ledger: Ledger, worker: FakeWorker) -> None:
    """Two models of two workers, which have different files but for one."""
    for model, family, adapters in (
        ("shapes", "SD 1.x", (INK, LARGE.model_copy(update={"models": ()}))),
        ("xl", "SDXL", (LARGE,)),
    ):
        facts = dict(card(model)) | {"family": family, "adapters": adapters}
        ledger.run(commands.register_model(RegisteredCard(**facts)))


async def test_adapters_are_listed_with_the_models_that_they_fit(
    client: httpx.AsyncClient,
) -> None:
    answer = (await client.get("/v1/adapters")).json()
    assert answer["object"] == "list"
    ink, large = answer["data"]
    assert ink == INK.model_dump(mode="json")
    assert (large["id"], large["models"]) == ("large", ["xl"])
    models = (await client.get("/v1/models")).json()["data"]
    assert [(one["id"], one["family"]) for one in models] == [("shapes", "SD 1.x"), ("xl", "SDXL")]
    assert not any("adapters" in one for one in models)


async def test_thousands_of_adapters_are_read_and_listed_once(
    client: httpx.AsyncClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a client that asks often would keep the gateway from all other requests."""
    listed: list[int] = []

    def counted(entries: Sequence[CatalogueEntry]) -> list[Adapter]:
        listed.append(len(entries))
        return catalogue_adapters(entries)

    catalogue_adapters = catalogue.adapters_of
    monkeypatch.setattr(catalogue, "adapters_of", counted)

    def register(count: int) -> None:
        many = tuple(
            INK.model_copy(update={"id": f"{k}", "sha256": f"{k:064x}"}) for k in range(count)
        )
        ledger.run(commands.register_model(RegisteredCard(**dict(card("shapes")), adapters=many)))

    async def ask() -> int:
        return len((await client.get("/v1/adapters")).json()["data"])

    register(1500)
    assert [await ask() for _ in range(4)] == [1501] * 4
    assert listed == [2]
    register(1499)
    assert await ask() == 1500
    assert listed == [2, 2]


async def test_a_job_names_the_files_that_it_means(client: httpx.AsyncClient) -> None:
    body = {"prompt": "a frog <lora:ink:0.5>", "loras": [{"id": "INK", "weight": -1}]}
    body |= {"model": "shapes"}
    job = (await client.post("/v1/generations", json=body)).json()
    facts = {"id": "Ink", "sha256": "1" * 64, "autov3": "2" * 12}
    assert job["request"]["prompt"] == "a frog "
    assert job["request"]["loras"] == [
        facts | {"weight": -1.0, "text_encoder_weight": -1.0},
        facts | {"weight": 0.5, "text_encoder_weight": 0.5},
    ]
    again = await client.post("/v1/generations", json=_sendable(job["request"]))
    assert again.json()["request"]["loras"] == job["request"]["loras"]
    plain = await client.post("/v1/generations", json={"prompt": "a frog", "model": "shapes"})
    assert plain.json()["request"]["loras"] == []
    # Two LoRAs at a quarter of the calls each.
    costs = [one["cost"]["step_megapixels"] for one in (job, plain.json())]
    assert costs[0] == pytest.approx(1.5 * costs[1])


def _sendable(request: dict) -> dict:
    return {name: value for name, value in request.items() if value is not None}


@pytest.mark.parametrize("how", ["submit", "dry_run"])
@pytest.mark.parametrize(
    ("prompt", "loras", "code", "at"),
    [
        ("", [{"id": "pen"}], "unknown_adapter", "/loras/0/id"),
        ("<lora:pen>", [{"id": "ink"}], "unknown_adapter", "/prompt"),
        ("<lora:ink><lora:large><lora:pen>", [], "adapter_mismatch", "/prompt"),
        ("", [{"id": "large"}], "adapter_mismatch", "/loras/0/id"),
        ("", [{"id": "ink", "sha256": "3" * 64}], "adapter_changed", "/loras/0/id"),
        ("<lora:ink:x>", [], "invalid_prompt", "/prompt"),
    ],
)
async def test_what_cannot_be_done_is_refused_before_it_is_queued(
    client: httpx.AsyncClient, prompt: str, loras: list, code: str, at: str, how: str
) -> None:
    body = {"prompt": f"a frog{prompt}", "model": "shapes", "loras": loras}
    answer = await client.post("/v1/generations", json=body | {"dry_run": how == "dry_run"})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert [one["pointer"] for one in answer.json()["errors"]] == [at]
    assert not (await client.get("/v1/generations")).json()["data"]


async def test_openais_door_takes_them_too(client: httpx.AsyncClient) -> None:
    body = {"prompt": "a frog", "model": "shapes", "loras": [{"id": "pen"}]}
    answer = await client.post("/v1/images/generations", json=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["code"] == "unknown_adapter"


async def test_a_clip_takes_no_tag_for_text(client: httpx.AsyncClient) -> None:
    body = {"prompt": "a frog <lora:ink>", "model": "shapes", "output": "frames"}
    answer = await client.post("/v1/clips", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_field")
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/prompt"]
