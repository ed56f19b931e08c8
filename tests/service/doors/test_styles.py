"""Styles and dynamic prompts from a request to its job, and back again from its answer."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from latentry.contracts import Job, StyleList
from latentry.ledger import JobRef, Ledger, commands
from latentry.provenance.recipe import recipe
from latentry.settings import Settings
from tests.service.fake import FakeWorker

STYLES = [
    {"name": "Night", "prompt": "{prompt}, {black|dark blue} sky", "negative_prompt": "sun"},
    {"name": "fine", "defaults": {"num_inference_steps": 77, "width": 160}},
]
PATH = "/v1/generations"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("service.upkeep.templates.EVERY_S", 0.01)
    styles, wildcards = tmp_path / "styles.json", tmp_path / "wildcards"
    styles.write_text(json.dumps(STYLES))
    wildcards.mkdir()
    (wildcards / "animals.txt").write_text("frog\nrabbit\ncat\n")
    changes = {"styles": str(styles), "wildcards": str(wildcards)}
    return settings.model_copy(update=changes)


def write(file: str, styles: list[dict[str, str]]) -> None:
    Path(file).write_text(json.dumps(styles))


async def create(client: httpx.AsyncClient, **fields: object) -> Job:
    answer = await client.post(PATH, json={"prompt": "a frog"} | fields)
    assert answer.status_code == 202, answer.text
    return Job.model_validate_json(answer.content)


async def test_the_styles_are_listed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/styles")
    listed = StyleList.model_validate_json(answer.content)
    assert [style.name for style in listed.data] == ["Night", "fine"]
    assert listed.data[1].defaults.num_inference_steps == 77


async def test_a_changed_file_is_listed_without_a_restart(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    write(settings.styles, [{"name": "other", "prompt": "of another size"}])
    async with asyncio.timeout(30):
        while True:
            listed = (await client.get("/v1/styles")).json()["data"]
            if [style["name"] for style in listed] == ["other"]:
                break
            await asyncio.sleep(0.01)


async def test_a_job_has_the_prompts_with_its_styles_and_what_they_were_made_of(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    job = await create(client, styles=["night", "fine"], negative_prompt="blur", width=128)
    assert job.request.prompt == "a frog, {black|dark blue} sky", "braces are text here"
    assert job.request.negative_prompt == "blur, sun"
    assert (job.request.width, job.request.num_inference_steps) == (128, 77)
    template = job.request.template
    assert template is not None
    assert (template.prompt, template.negative_prompt) == ("a frog", "blur")
    assert template.styles == ("night", "fine")


async def test_a_dynamic_prompt_is_drawn_once_for_all_images_by_the_seed(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    asked = {"prompt": "a __animals__", "styles": ["Night"], "prompt_syntax": "dynamic", "n": 3}
    jobs = [await create(client, **asked, seed=seed) for seed in (1, 1, 2, 3, 4, 5)]
    prompts = [job.request.prompt for job in jobs]
    assert prompts[0] == prompts[1]
    assert len(set(prompts)) > 2
    possible = {
        f"a {animal}, {sky} sky"
        for animal in ("frog", "rabbit", "cat")
        for sky in ("black", "dark blue")
    }
    assert set(prompts) <= possible
    assert {job.request.prompt_syntax for job in jobs} == {"weighted"}
    assert jobs[0].request.template.prompt == "a __animals__"
    assert jobs[0].request.template.prompt_syntax == "dynamic"


async def test_without_a_seed_the_one_that_drew_the_prompt_is_the_job_s(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    asked = {"prompt": "__animals__ __animals__ __animals__", "prompt_syntax": "dynamic"}
    first = await create(client, **asked)
    again = await create(client, **asked, seed=first.request.seed)
    assert again.request == first.request


async def test_the_answer_s_request_and_the_file_s_recipe_make_the_same_job_again(
    client: httpx.AsyncClient, worker: FakeWorker, ledger: Ledger
) -> None:
    first = await create(
        client, prompt="a {red|blue} __animals__", styles=["Night"], prompt_syntax="dynamic", seed=4
    )
    record = ledger.run(commands.get(JobRef("default", first.id)))
    assert record is not None
    for body in (first.request.model_dump_json(), recipe(record.request, seed=4)):
        answer = await client.post(PATH, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 202, answer.text
        assert Job.model_validate_json(answer.content).request == first.request


async def test_a_repeat_under_its_key_is_the_same_job_although_the_seed_was_drawn(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    headers = {"Idempotency-Key": "mine"}
    body = {"prompt": "a __animals__", "prompt_syntax": "dynamic"}
    ids = {(await client.post(PATH, json=body, headers=headers)).json()["id"] for _ in range(3)}
    assert len(ids) == 1


async def test_a_dry_run_knows_the_styles_too(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    async def cost(**fields: object) -> float:
        answer = await client.post(PATH, json={"prompt": "a", "dry_run": True} | fields)
        return answer.json()["cost"]["step_megapixels"]

    assert await cost(styles=["fine"]) > 3 * await cost()
    refused = await client.post(PATH, json={"prompt": "a", "dry_run": True, "styles": ["x"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_style")
    assert refused.json()["errors"][0]["pointer"] == "/styles/0"


async def test_a_prompt_that_its_style_makes_too_long_is_refused(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    answer = await client.post(PATH, json={"prompt": "a" * 7_990, "styles": ["Night"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_prompt")
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/prompt"]


async def test_openai_s_door_takes_styles_and_dynamic_prompts(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    body = {"prompt": "a {red|blue} frog", "styles": ["Night"], "prompt_syntax": "dynamic"}
    with worker:
        answer = await client.post("/v1/images/generations", json=body)
        assert answer.status_code == 200, answer.text
    [job] = (await client.get(PATH)).json()["data"]
    assert "{" not in job["request"]["prompt"]
    assert job["request"]["template"]["styles"] == ["Night"]
