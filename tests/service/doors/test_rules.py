"""Rules on prompts at every door: what is refused, flagged and added, and the counts."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI

from latentry.contracts import Adapter, ClipFormat, RegisteredCard
from latentry.ledger import Ledger, commands
from latentry.settings import Settings
from service.app import create_app
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker

RULES = """
[[prompt]]
name = "frogs"
words = ["frog"]
exceptions = ["frog green"]
action = "refuse"
reason = "No frogs are drawn here."

[[prompt]]
name = "ponds"
words = ["pond"]
action = "append"
negative_prompt = "frog, (toad:1.2)"
reason = "Ponds are drawn without frogs."

[[prompt]]
name = "swamps"
patterns = ['\\bswamps?\\b']
action = "flag"
reason = "Swamps are noted."

[[prompt]]
name = "mild"
words = ["toad"]
action = "refuse"
reason = "No toads."
relaxed = true
"""
FROG = {"prompt": "a red circle, fr0g"}
REASON = "No frogs are drawn here."


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "rules.toml").write_text(RULES)
    changed = {"rules": str(tmp_path / "rules.toml"), "styles": str(tmp_path / "styles.json")}
    (tmp_path / "styles.json").write_text('[{"name": "wet", "prompt": "{prompt} of a frog"}]')
    (tmp_path / "wild").mkdir()
    (tmp_path / "wild" / "animals.txt").write_text("frog\n")
    return settings.model_copy(update={**changed, "wildcards": str(tmp_path / "wild")})


@pytest.fixture
def worker(worker: FakeWorker) -> FakeWorker:
    """One with a motion module, and a LoRA whose trigger words have a frog among them."""
    lora = Adapter(
        id="Ink", family="SD 1.x", models=("shapes",), sha256="1" * 64, autov3="2" * 12,
        size_bytes=10, rank=4, networks=("unet",), trigger_words=("inky", "a tiny frog"),
    )  # fmt: skip
    limits = card().limits.model_copy(update={"max_frames": 8, "clips": tuple(ClipFormat)})
    facts = dict(card()) | {"limits": limits, "family": "SD 1.x", "adapters": (lora,)}
    worker.ledger.run(commands.register_model(RegisteredCard(**facts)))
    return worker


def keyframes(*prompts: str, **fields: object) -> dict[str, Any]:
    first, *via, last = ({"prompt": prompt} for prompt in prompts)
    return {"from": first, "via": via, "to": last, "frames": 4, **fields}


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("generations", FROG, "/prompt"),
        ("generations", FROG | {"dry_run": True}, "/prompt"),
        ("generations", {"prompt": "(fr:1.3)og"}, "/prompt"),
        ("generations", {"prompt": "a [cat|frog]"}, "/prompt"),
        ("generations", {"prompt": "a cat AND f r o g :0.1"}, "/prompt"),
        ("generations", {"prompt": "a cat", "styles": ["wet"]}, "/prompt"),
        ("generations", {"prompt": "a __animals__", "prompt_syntax": "dynamic"}, "/prompt"),
        ("generations", {"prompt": "a cat", "negative_prompt": "(frog:-2)"}, "/negative_prompt"),
        ("generations", {"prompt": "a cat", "loras": [{"id": "Ink"}]}, "/loras/0/id"),
        ("generations", {"prompt": "a cat <lora:ink:0.5>"}, "/loras/0/id"),
        ("clips", {"prompt": "a frog that jumps"}, "/prompt"),
        ("interpolations", keyframes("a frog", "a cat"), "/from/prompt"),
        ("interpolations", keyframes("a cat", "a cow", "a FROG", "a dog"), "/via/1/prompt"),
        ("interpolations", keyframes("a cat", "a frog"), "/to/prompt"),
    ],
)
async def test_what_a_rule_forbids_is_refused_with_its_reason(
    client: httpx.AsyncClient, worker: FakeWorker, path: str, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post(f"/v1/{path}", json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert (problem["code"], problem["detail"]) == ("prompt_refused", REASON)
    assert problem["errors"] == [{"pointer": pointer, "detail": REASON}]
    assert problem["error"]["code"] == "content_policy_violation"
    assert (await client.get("/v1/generations")).json()["data"] == []


async def test_what_no_rule_forbids_is_drawn(client: httpx.AsyncClient, worker: FakeWorker) -> None:
    for body in ({"prompt": "frog green"}, {"prompt": "x", "negative_prompt": "frog"}):
        answer = await client.post("/v1/generations", json=body)
        assert answer.status_code == 202
        assert answer.json()["warnings"] == []


async def test_what_is_added_to_a_negative_prompt_stands_in_the_answer(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    body = {"prompt": "a pond", "negative_prompt": "[blur"}
    job = (await client.post("/v1/generations", json=body)).json()
    assert job["request"]["negative_prompt"] == "frog, (toad:1.2), [blur"
    [warning] = job["warnings"]
    assert warning["code"] == "negative_prompt_added"
    assert warning["message"].startswith("Ponds are drawn without frogs. Added ")
    assert "“frog, (toad:1.2)”" in warning["message"]
    assert "guidance_stop" not in warning["message"]
    short = (await client.post("/v1/generations", json=body | {"guidance_stop": 0.01})).json()
    assert "ends its effect after 0.01 of the calls." in short["warnings"][0]["message"]
    again = {name: job["request"][name] for name in ("prompt", "negative_prompt")}
    repeated = (await client.post("/v1/generations", json=again)).json()
    assert repeated["request"]["negative_prompt"] == job["request"]["negative_prompt"], "once"
    bare = (await client.post("/v1/generations", json={"prompt": "a pond"})).json()
    assert bare["request"]["negative_prompt"] == "frog, (toad:1.2)"
    read = (await client.get(f"/v1/generations/{job['id']}")).json()
    assert read["warnings"] == job["warnings"]


async def test_it_is_added_to_all_pictures_of_an_interpolation(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    body = keyframes("a cat", "a cow", "a pond")
    request = (await client.post("/v1/interpolations", json=body)).json()["request"]
    way = request["interpolation"]
    negatives = {one["negative_prompt"] for one in (request, *way["via"], way["to"])}
    assert negatives == {"frog, (toad:1.2)"}


@pytest.mark.parametrize(
    "body", [{"prompt": "a pond", "guidance_scale": 1}, {"prompt": "a pond AND a pond :-3"}]
)
async def test_what_would_have_no_effect_is_no_way_around(
    client: httpx.AsyncClient, worker: FakeWorker, body: dict[str, object]
) -> None:
    answer = await client.post("/v1/generations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "prompt_refused")
    assert "has no effect" in answer.json()["detail"]


async def test_a_prompt_that_becomes_too_long_is_refused(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    body = {"prompt": "a pond", "negative_prompt": "x" * 7_990}
    answer = await client.post("/v1/generations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_prompt")


async def test_a_flag_is_a_warning_a_line_and_a_count_without_the_prompt(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    with structlog.testing.capture_logs() as logs:
        job = (await client.post("/v1/generations", json={"prompt": "two swamps"})).json()
    assert job["warnings"] == [{"code": "prompt_flagged", "message": "Swamps are noted."}]
    [line] = [one for one in logs if one["event"] == "rules.applied"]
    assert (line["rule"], line["action"], line["job"]) == ("swamps", "flag", job["id"])
    assert "two swamps" not in str(logs)


async def test_warnings_of_the_worker_come_after_those_of_rules(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    job = (await client.post("/v1/generations", json={"prompt": "a swamp"})).json()
    worker.finish(worker.claim())
    ended = (await client.get(f"/v1/generations/{job['id']}")).json()
    assert [one["code"] for one in ended["warnings"]] == ["prompt_flagged"]


async def test_usage_and_metrics_count_by_rule_and_tenant(
    client: httpx.AsyncClient, app: FastAPI, worker: FakeWorker, ledger: Ledger
) -> None:
    for prompt in ("frog", "a frog", "a swamp", "a swamp by a pond"):
        await client.post("/v1/generations", json={"prompt": prompt})
    await client.post("/v1/generations", json={"prompt": "a pond", "dry_run": True})
    [row] = (await client.get("/v1/usage")).json()["data"]
    counts = {"frogs": {"refuse": 2}, "swamps": {"flag": 2}, "ponds": {"append": 1}}
    assert row["rules"] == counts
    assert row["jobs"] == {}
    registry = app.state.gateway.metrics.registry
    for rule, actions in counts.items():
        for action, count in actions.items():
            labels = {"rule": rule, "tenant": "default", "action": action}
            assert registry.get_sample_value("latentry_rules_applied_total", labels) == count
    for name in ledger.client.scan_iter(f"{ledger.root}:usage:*"):
        assert "frog" not in str(ledger.client.hvals(name)), "no prompt is kept"


async def test_a_repetition_under_an_idempotency_key_is_counted_once(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    for _ in range(2):
        headers = {"Idempotency-Key": "k"}
        await client.post("/v1/generations", json={"prompt": "a swamp"}, headers=headers)
    [row] = (await client.get("/v1/usage")).json()["data"]
    assert row["rules"] == {"swamps": {"flag": 1}}


async def test_a_repeat_of_what_a_rule_forbids_by_now_is_refused_and_counted(
    client: httpx.AsyncClient, settings: Settings, worker: FakeWorker
) -> None:
    headers = {"Idempotency-Key": "k"}
    made = create_app(settings.model_copy(update={"rules": ""}))
    async with (
        made.router.lifespan_context(made),
        httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://gateway") as free,
    ):
        assert (await free.post("/v1/generations", json=FROG, headers=headers)).status_code == 202
    answer = await client.post("/v1/generations", json=FROG, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "prompt_refused")
    [row] = (await client.get("/v1/usage")).json()["data"]
    assert row["rules"] == {"frogs": {"refuse": 1}}


@pytest.fixture
async def openai(app: FastAPI) -> AsyncIterator[Callable[..., Any]]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as opened:

        async def post(**body: object) -> httpx.Response:
            return await opened.post("/v1/images/generations", json=body)

        yield post


async def test_openai_s_clients_get_its_error(
    openai: Callable[..., Any], worker: FakeWorker
) -> None:
    answer = await openai(prompt="a frog")
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": REASON,
        "type": "invalid_request_error",
        "param": "prompt",
        "code": "content_policy_violation",
    }


async def test_openai_s_moderation_low_is_without_relaxed_rules(
    openai: Callable[..., Any], worker: FakeWorker
) -> None:
    with worker:
        assert (await openai(prompt="a toad")).status_code == 400
        assert (await openai(prompt="a toad", moderation="auto")).status_code == 400
        low = await openai(prompt="a toad", moderation="low")
        assert low.status_code == 200
        assert "X-Ignored-Fields" not in low.headers
        assert (await openai(prompt="a frog", moderation="low")).status_code == 400
        other = await openai(prompt="x", moderation="strict")
        assert other.headers["X-Ignored-Fields"] == "moderation"


async def test_rules_of_one_tenant_are_not_another_s(
    settings: Settings, tmp_path: Path, worker: FakeWorker
) -> None:
    mine = RULES.replace('name = "frogs"', 'name = "frogs"\ntenants = ["pond"]', 1)
    (tmp_path / "rules.toml").write_text(mine)
    made = create_app(settings)
    async with (
        made.router.lifespan_context(made),
        httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://gateway") as client,
    ):
        assert (await client.post("/v1/generations", json=FROG)).status_code == 202
