"""`POST /v1/generations:batch` as a client sees it."""

import httpx
import pytest

from latentry.contracts import BatchResult, JobList
from latentry.ledger import commands
from latentry.ledger.keyring import Allowance
from tests.service.fake import FakeWorker
from tests.service.keys import bearer, issue

PATH = "/v1/generations:batch"


async def post(client: httpx.AsyncClient, *requests: object, **headers: str) -> BatchResult:
    answer = await client.post(PATH, json={"requests": requests}, headers=headers)
    assert answer.status_code == 200, answer.text
    return BatchResult.model_validate_json(answer.content)


async def jobs(client: httpx.AsyncClient, **headers: str) -> JobList:
    answer = await client.get("/v1/generations?limit=100", headers=headers)
    return JobList.model_validate_json(answer.content)


async def test_each_request_is_accepted_or_refused_by_itself(client, worker: FakeWorker) -> None:
    found = await post(
        client,
        {"prompt": "a red circle", "seed": 1},
        {"prompt": "a red circle", "steps": 4},
        {"prompt": "a red circle", "model": "nobody"},
        {"prompt": "a frog", "dry_run": True},
        {"prompt": "a blue star", "seed": 2},
    )
    assert [one.index for one in found] == [0, 1, 2, 3, 4]
    assert [one.status for one in found] == [202, 422, 404, 200, 202]
    codes = [one.problem.code if one.problem else None for one in found]
    assert codes == [None, "invalid_request", "unknown_model", None, None]
    assert found[1].problem.errors[0].pointer == "/steps"
    assert found[3].estimate is not None
    assert [one.request.seed for one in await jobs(client)] == [2, 1], "in their order"


async def test_each_has_a_key_of_its_own(client, worker) -> None:
    requests = [{"prompt": "a red circle"}, {"prompt": "a blue star"}]
    first = await post(client, *requests, **{"Idempotency-Key": "k"})
    again = await post(client, *requests, **{"Idempotency-Key": "k"})
    assert [one.job.id for one in again] == [one.job.id for one in first]
    changed = await post(client, requests[0], {"prompt": "else"}, **{"Idempotency-Key": "k"})
    assert [one.status for one in changed] == [202, 422]
    assert changed[1].problem.code == "idempotency_conflict"
    single = await client.post(
        "/v1/generations", json=requests[1], headers={"Idempotency-Key": "k:1"}
    )
    assert single.json()["id"] == first[1].job.id
    for key in ("k" * 254, ""):
        wrong = await client.post(
            PATH, json={"requests": requests}, headers={"Idempotency-Key": key}
        )
        assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_idempotency_key")
    assert len(await jobs(client)) == 2


async def test_a_repeat_finds_the_jobs_whose_model_is_gone(client, worker, ledger) -> None:
    requests = [{"prompt": "a red circle"}, {"prompt": "a blue star"}]
    first = await post(client, *requests, **{"Idempotency-Key": "k"})
    ledger.run(commands.withdraw_model("fake", "shapes"))
    again = await post(client, *requests, {"prompt": "a frog"}, **{"Idempotency-Key": "k"})
    assert [one.job and one.job.id for one in again] == [*(one.job.id for one in first), None]
    assert again[2].problem.code == "no_model"


async def test_each_counts_as_a_request_of_the_keys_rate(client, worker, ledger) -> None:
    key = bearer(issue(ledger, allowance=Allowance(per_minute=1, burst=4)))
    requests = [{"prompt": "a red circle"}] * 3
    first = await client.post(PATH, json={"requests": requests[:2]}, headers=key)
    assert first.headers["x-ratelimit-remaining-requests"] == "2"
    found = await post(client, *requests[:3], **key)
    assert [one.status for one in found] == [202, 202, 429]
    assert found[2].problem.code == "rate_limited"
    assert 0 < found[2].retry_after_s <= 60
    assert found[0].retry_after_s is None
    assert (await client.get("/v1/models", headers=key)).status_code == 429


async def test_a_repeat_gives_its_jobs_though_the_rate_is_used_up(client, worker, ledger) -> None:
    key = bearer(issue(ledger, allowance=Allowance(per_minute=1, burst=7))) | {
        "Idempotency-Key": "k"
    }
    requests = [{"prompt": f"a red circle {n}"} for n in range(3)]
    first = await post(client, *requests, **key)
    more = [*requests, {"prompt": "a frog"}, {"prompt": "a star"}]
    longer = await post(client, *more, **key)  # takes two: it is the first of the new ones
    assert [one.job.id for one in longer[:3]] == [one.job.id for one in first]
    assert [one.status for one in longer] == [202] * 5
    answer = await client.post(PATH, json={"requests": more}, headers=key)
    assert answer.headers["x-ratelimit-remaining-requests"] == "1"
    changed = await post(client, *more[:4], {"prompt": "else"}, {"prompt": "a", "seed": 1}, **key)
    assert [one.job and one.job.id for one in changed[:4]] == [one.job.id for one in longer[:4]]
    assert [one.problem and one.problem.code for one in changed[4:]] == [
        "idempotency_conflict",
        None,
    ]


async def test_only_jobs_come_again_without_a_request_of_the_rate(client, worker, ledger) -> None:
    key = bearer(issue(ledger, allowance=Allowance(per_minute=1, burst=3))) | {
        "Idempotency-Key": "k"
    }
    requests = [{"prompt": "a red circle"}, {"prompt": "a star"}]
    await post(client, *requests, **key)
    found = await post(client, *({**one, "dry_run": True} for one in requests), **key)
    assert [one.status for one in found] == [200, 429]


async def test_a_batch_of_64_with_one_body_of_a_mebibyte_is_the_most(client, worker) -> None:
    long = {"prompt": "a frog " * 1000}
    found = await post(client, *[long] * 64)  # above the bound of one request's body
    assert {one.status for one in found} == {202}
    more = await client.post(PATH, json={"requests": [long] * 65})
    assert (more.status_code, more.json()["errors"][0]["pointer"]) == (422, "/requests")
    large = await client.post(PATH, json={"requests": [{"prompt": "x" * 2**20}]})
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        '{"requests": []}',
        '{"requests": [1]}',
        '{"requests": {}}',
        "{",
        '{"prompt": "a"}',
    ],
)
async def test_what_is_no_batch_is_refused_whole(client, worker, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.post(PATH, content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("invalid_request", "malformed_body")
