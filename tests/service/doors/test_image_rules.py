"""Rules on pictures, before anything is drawn: who has a classifier, and what may not be shown."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from latentry.contracts import (
    CaptionerCard,
    JobError,
    OutputKind,
    Preprocess,
    PreprocessorsCard,
    UpscalerCard,
)
from latentry.contracts.fields.safety import Safety
from latentry.errors import PictureRefused
from latentry.ledger import Ledger, commands
from latentry.rules.limits.limits import refuse_unsupported
from latentry.settings import Settings
from tests.latentry.ledger.factory import card
from tests.service.doors.test_upscales import png
from tests.service.fake import FakeWorker

RULE = """
[[image]]
name = "frogs"
label = "frog"
threshold = 0.9
action = "{action}"
reason = "No frogs."
"""


@pytest.fixture(params=["block"])
def settings(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    (tmp_path / "rules.toml").write_text(RULE.format(action=request.param))
    return settings.model_copy(update={"rules": str(tmp_path / "rules.toml")})


@pytest.fixture
def worker(worker: FakeWorker, ledger: Ledger) -> FakeWorker:
    """One with a classifier."""
    shown = card()
    limits = shown.limits.model_copy(update={"previews": True})
    ledger.run(
        commands.register_model(
            shown.model_copy(update={"safety_labels": ("frog",), "limits": limits})
        )
    )
    return worker


async def create(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/generations", json={"prompt": "a cat", **fields})


async def test_the_rules_go_with_the_job(client: httpx.AsyncClient, worker: FakeWorker) -> None:
    assert (await create(client)).status_code == 202
    [rule] = worker.claim().record.image_rules
    assert (rule.name, rule.label, rule.threshold, rule.action) == ("frogs", "frog", 0.9, "block")
    assert rule.reason == "No frogs."


async def test_no_picture_is_drawn_that_nobody_can_judge(
    client: httpx.AsyncClient, worker: FakeWorker, ledger: Ledger
) -> None:
    ledger.run(commands.register_model(card()))
    answer = await create(client)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_classifier")
    assert "Retry-After" in answer.headers


async def test_what_is_made_of_a_picture_is_judged_and_its_words_are_no_picture(
    client: httpx.AsyncClient, worker: FakeWorker, ledger: Ledger
) -> None:
    lanczos = UpscalerCard(id="lanczos", architecture="x", scale=4, default_scale=2, created=0)
    preprocessors = PreprocessorsCard(preprocessors=tuple(Preprocess))
    every = lanczos, preprocessors, CaptionerCard(captioner="blip", side=384)
    ledger.run(commands.heartbeat("another", [one.queue for one in every], ttl_s=60))
    for one in every:
        ledger.run(commands.register_model(one))
    for path in ("upscales", "controls"):
        answer = await client.post(f"/v1/{path}", json={"image": png()})
        assert (answer.status_code, answer.json()["code"]) == (503, "no_classifier"), path
    assert (await client.post("/v1/captions", json={"image": png()})).status_code == 202


async def test_no_preview_is_sent_of_what_may_be_withheld(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    job = (await create(client, preview_interval=2, preview_size=256)).json()
    assert job["request"]["preview_interval"] == 0
    assert [one["code"] for one in job["warnings"]] == ["previews_withheld"]
    drawn = worker.claim().record.request
    assert drawn.preview_interval == 0
    refuse_unsupported(card(), drawn)  # as its worker does


async def test_no_step_is_stored_of_what_may_be_withheld(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    answer = await create(client, intermediates={"every": 2})
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_field")
    assert answer.json()["errors"][0]["pointer"] == "/intermediates"


@pytest.mark.parametrize("settings", ["flag"], indirect=True)
async def test_what_is_only_flagged_may_be_shown(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    job = (await create(client, preview_interval=2, intermediates={"every": 2})).json()
    assert job["request"]["preview_interval"] == 2
    assert job["warnings"] == []


async def test_a_refused_picture_is_told_as_one(
    client: httpx.AsyncClient, worker: FakeWorker, ledger: Ledger
) -> None:
    job = (await create(client, n=2)).json()
    lease = worker.claim()
    drawn = worker.draw(lease, 0)
    safety = Safety(labels=["frog"], scores={"frog": 0.97}, action="block")
    refused = drawn.model_copy(
        update={"index": 1, "key": "", "pixel_sha256": "", "safety": safety,
                "error": JobError(code="picture_refused", message="No frogs."),
                "applied": (("frogs", "block"),)}
    )  # fmt: skip
    ledger.run(commands.add_output(lease, refused))
    ledger.run(commands.add_output(lease, refused))  # the reply was lost
    worker.settle(lease)
    ended = (await client.get(f"/v1/generations/{job['id']}")).json()
    assert [one["index"] for one in ended["images"]] == [0]
    assert "safety" not in ended["images"][0]
    told = ended["outputs"][1]
    assert (told["kind"], told["url"]) == (OutputKind.IMAGE, "")
    assert told["error"] == {"code": "picture_refused", "message": "No frogs."}
    assert told["safety"] == safety.model_dump()
    assert "applied" not in told
    assert "is_charged" not in told
    [row] = (await client.get("/v1/usage")).json()["data"]
    assert row["rules"] == {"frogs": {"block": 1}}
    assert row["images"] == 1


async def test_openai_s_clients_get_its_error_for_a_picture(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    worker.fails_with = PictureRefused("No frogs.")
    with worker:
        answer = await client.post("/v1/images/generations", json={"prompt": "a cat"})
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "No frogs.",
        "type": "image_generation_user_error",
        "param": None,
        "code": "moderation_blocked",
    }
