"""Overload: too much is refused at once, with what to change; accepted jobs say when they start."""

import re
from datetime import datetime

import pytest

from latentry.contracts.catalogue.models import Pace
from latentry.ledger import commands
from tests.latentry.ledger.factory import card

REQUEST = {"prompt": "a red circle", "num_inference_steps": 100, "width": 192, "height": 192}
SECONDS = 3.6864  # 100 calls of 0.036864 megapixels, a second for a step-megapixel


@pytest.fixture
def paced(worker, ledger):
    pace = Pace(step_megapixel_s=1.0, images_at_once=1)
    ledger.run(commands.register_model(card().model_copy(update={"pace": pace})))
    return worker


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"max_queue_wait_s": 10.0, "max_cost_step_megapixels": 5.0})


async def create(client, **fields):
    return await client.post("/v1/generations", json=REQUEST | fields)


async def until_refused(client):
    for _ in range(9):
        answer = await create(client)
        if answer.status_code != 202:
            return answer
    raise AssertionError("nothing was refused")


async def test_an_accepted_job_says_its_cost_and_when_it_may_start(client, paced) -> None:
    first = (await create(client)).json()
    assert first["cost"] == {
        "step_megapixels": pytest.approx(SECONDS),
        "worker_seconds": pytest.approx(SECONDS, abs=0.001),
    }
    job = (await create(client, priority="low")).json()
    assert (job["priority"], job["queue_position"]) == ("low", 1)
    moment = datetime.fromisoformat
    wait = moment(job["estimated_start_at"]) - moment(job["created_at"])
    assert wait.total_seconds() == pytest.approx(SECONDS, abs=0.5)
    paced.finish(paced.claim())
    done = (await client.get(f"/v1/generations/{first['id']}")).json()
    assert (done["estimated_start_at"], done["queue_position"]) == (None, None)


async def test_a_job_that_would_wait_too_long_gets_503_with_retry_after(client, paced) -> None:
    refused = await until_refused(client)
    assert (refused.status_code, refused.json()["code"]) == (503, "deadline_unreachable")
    assert 1 <= int(refused.headers["Retry-After"]) <= 3
    assert "s too late" in refused.json()["detail"]


@pytest.mark.parametrize(("bound", "too_little"), [("start_within", 3), ("finish_within", 5)])
async def test_a_deadline_that_cannot_be_met_is_refused_at_once(
    client, paced, bound, too_little
) -> None:
    await create(client)
    assert (await create(client, **{bound: too_little})).json()["code"] == "deadline_unreachable"
    accepted = (await create(client, **{bound: 60})).json()
    assert (accepted["finish_by"] is not None) == (bound == "finish_within")


async def test_less_time_than_the_images_take_is_refused_for_good(client, paced) -> None:
    refused = await create(client, finish_within=1)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "finish_within_too_short")
    assert "Retry-After" not in refused.headers
    [wrong] = problem["errors"]
    assert wrong["pointer"] == "/finish_within"
    least_s = int(re.search(r"must be (\d+) or more", wrong["detail"])[1])
    assert (await create(client, finish_within=least_s)).status_code == 202


async def test_without_a_measured_pace_only_the_length_of_the_queue_counts(client, worker) -> None:
    answers = [await create(client) for _ in range(9)]
    assert {answer.status_code for answer in answers} == {202}
    assert answers[-1].json()["cost"]["worker_seconds"] is None
    assert answers[-1].json()["estimated_start_at"] is None


async def test_too_much_work_for_one_request_is_refused_with_both_figures(client, paced) -> None:
    refused = await create(client, n=2)
    assert (refused.status_code, refused.json()["code"]) == (422, "request_too_expensive")
    assert "7.4 step-megapixels" in refused.json()["detail"]
    assert "5.0 are" in refused.json()["detail"]
    always = {"/n", "/num_inference_steps", "/width", "/height"}
    assert {one["pointer"] for one in refused.json()["errors"]} == always
    hires = {"width": 192, "height": 192, "strength": 1.0}
    given = {"width": 96, "height": 96, "hires": hires, "intermediates": {"every": 20}}
    refused = await create(client, n=2, **given)
    more = {"/hires", "/intermediates"}
    assert {one["pointer"] for one in refused.json()["errors"]} == always | more
    assert (await create(client, n=2, guidance_scale=1.0)).status_code == 202, "half the rows"


async def test_a_dry_run_answers_cost_and_wait_and_enters_nothing(client, paced, ledger) -> None:
    await create(client)
    said = await client.post(
        "/v1/generations", json=REQUEST | {"dry_run": True}, headers={"Idempotency-Key": "k"}
    )
    assert said.status_code == 200
    assert said.json()["estimated_wait_s"] == pytest.approx(SECONDS, abs=0.01)
    assert said.json()["cost"]["worker_seconds"] == pytest.approx(SECONDS, abs=0.001)
    assert len((await client.get("/v1/generations")).json()["data"]) == 1
    other = await client.post(
        "/v1/generations", json={"prompt": "else"}, headers={"Idempotency-Key": "k"}
    )
    assert other.status_code == 202, "no key was used"


async def test_a_dry_run_is_refused_as_the_request_would_be(client, paced) -> None:
    refused = await until_refused(client)
    dry = await create(client, dry_run=True)
    assert (dry.status_code, dry.json()["code"]) == (503, refused.json()["code"])
    assert (await create(client, dry_run=True, n=8)).json()["code"] == "request_too_expensive"


@pytest.mark.parametrize("fields", [{"priority": "urgent"}, {"start_within": 0}, {"dry_run": 1}])
async def test_what_is_no_such_value_is_refused(client, worker, fields) -> None:
    assert (await create(client, **fields)).status_code == 422
