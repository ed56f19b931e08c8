"""A key's limits at once and in a day, and the record of what it used."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from latentry.api_keys import ALL_SCOPES, Scope
from latentry.client import Client
from latentry.contracts import JobStatus
from latentry.errors import OutOfMemory
from latentry.ledger import JobRef, commands
from latentry.ledger.keyring import Allowance
from tests.latentry.ledger.audit import audit
from tests.service.keys import bearer, issue

# 128 × 128 × 25 steps, as the card has them: 0.4096 step-megapixels.
REQUEST = {"prompt": "a red circle"}
EACH = 0.4096


@pytest.fixture
def key(ledger):
    def made(**bounds: int):
        scopes = ALL_SCOPES - {Scope.USAGE_OF_ALL}
        return bearer(issue(ledger, scopes=scopes, allowance=Allowance(**bounds)))

    return made


async def create(client, key, **fields):
    return await client.post("/v1/generations", json=REQUEST | fields, headers=key)


async def books(client, key, **days: str) -> list[dict]:
    answer = await client.get("/v1/usage", params=days, headers=key)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_a_key_has_only_so_many_unfinished_jobs(client, worker, key) -> None:
    two = key(jobs=2)
    ids = [(await create(client, two)).json()["id"] for _ in range(2)]
    refused = await create(client, two)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_jobs")
    assert int(refused.headers["retry-after"]) > 0
    await client.post(f"/v1/generations/{ids[0]}/cancel", headers=two)
    assert (await create(client, two)).status_code == 202
    for _ in range(2):
        worker.finish(worker.claim())
    assert [(await create(client, two)).status_code for _ in range(3)] == [202, 202, 429]


async def test_a_repeat_of_an_accepted_request_is_not_one_more(client, worker, key) -> None:
    one = key(jobs=1) | {"Idempotency-Key": "k"}
    first = await create(client, one)
    again = await create(client, one)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


async def test_hundreds_at_once_do_not_slip_past_the_bound(client, worker, key) -> None:
    five = key(jobs=5)
    answers = await asyncio.gather(*(create(client, five) for _ in range(100)))
    assert sorted(answer.status_code for answer in answers) == [202] * 5 + [429] * 95


@pytest.mark.parametrize("end", ["delete", "cancel", "fail", "succeed", "lose"])
async def test_no_end_of_a_job_leaves_its_place_taken(client, worker, key, end: str) -> None:
    one = key(jobs=1)
    for _ in range(3):
        answer = await create(client, one)
        assert answer.status_code == 202, answer.text
        id = answer.json()["id"]
        match end:
            case "delete":
                await client.delete(f"/v1/generations/{id}", headers=one)
            case "cancel":
                lease = worker.claim()
                await client.post(f"/v1/generations/{id}/cancel", headers=one)
                worker.settle(lease, JobStatus.CANCELED)
            case "fail":
                worker.fails_with = OutOfMemory()
                worker.finish(worker.claim())
            case "succeed":
                worker.finish(worker.claim())
            case "lose":  # the record was removed by hand
                client_of = worker.ledger.client
                client_of.delete(f"{worker.ledger.root}:job:{JobRef('acme', id)}")
    if end != "lose":
        audit(worker.ledger)


async def test_a_day_covers_only_so_much_and_says_how_long_it_lasts(client, worker, key) -> None:
    one = key(step_megapixels=1)
    refused = await create(client, one, n=3)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert "1.00 step-megapixels left" in refused.json()["detail"]
    assert [(await create(client, one)).status_code for _ in range(3)] == [202, 202, 429]
    again = await create(client, one)
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(1), datetime.min.time(), UTC)
    assert abs(int(again.headers["retry-after"]) - (midnight - now).total_seconds()) <= 2
    assert (await create(client, one, num_inference_steps=5)).status_code == 202


async def test_what_was_not_drawn_is_given_back_unless_it_was_canceled_at_work(
    client, worker, key
) -> None:
    one = key(step_megapixels=1)

    async def fits(n: int) -> bool:
        answer = await create(client, one, n=n)
        if answer.status_code == 202:
            await client.delete(answer.json()["urls"]["self"], headers=one)
        return answer.status_code == 202

    assert await fits(2)  # canceled in the queue: free
    await create(client, one, n=2)
    worker.fails_with = OutOfMemory()
    worker.finish(worker.claim())
    assert await fits(2)  # failed: free
    id = (await create(client, one, n=1)).json()["id"]
    lease = worker.claim()
    await client.post(f"/v1/generations/{id}/cancel", headers=one)
    worker.settle(lease, JobStatus.CANCELED)
    assert (await fits(2), await fits(1)) == (False, True)


async def test_time_that_a_deadline_cut_short_is_charged_and_a_wait_is_not(
    client, worker, key, ledger
) -> None:
    one = key(step_megapixels=1)

    def time_is_over() -> None:
        [(ref, _)] = ledger.client.zrange(f"{ledger.root}:deadlines", 0, -1, withscores=True)
        ledger.client.hset(f"{ledger.root}:job:{ref}", "finish_by_ms", 1)
        ledger.client.zadd(f"{ledger.root}:deadlines", {ref: 1})
        ledger.run(commands.sweep(lease_s=60))

    for _ in range(3):  # in the queue: free
        assert (await create(client, one, n=2, finish_within=60)).status_code == 202
        time_is_over()
    await create(client, one, n=1)
    ledger.run(commands.release(worker.claim()))
    [job] = (await client.get("/v1/generations?limit=1", headers=one)).json()["data"]
    await client.post(f"/v1/generations/{job['id']}/cancel", headers=one)  # handed back: free
    assert (await create(client, one, n=2, finish_within=60)).status_code == 202
    worker.claim()
    time_is_over()
    assert (await create(client, one, n=1)).status_code == 429


async def test_the_books_say_what_was_made_by_day_and_key(client, worker, key, ledger) -> None:
    mine, theirs = key(), key()
    await create(client, mine, n=2)
    worker.finish(worker.claim())
    await create(client, mine)
    worker.fails_with = OutOfMemory()
    worker.finish(worker.claim())
    id = (await create(client, theirs)).json()["id"]
    await client.post(f"/v1/generations/{id}/cancel", headers=theirs)
    await create(client, theirs)  # has not ended

    [row] = await books(client, mine)
    assert row == {
        "day": datetime.now(UTC).date().isoformat(),
        "key": mine["Authorization"].split("_")[1],
        "jobs": {"failed": 1, "succeeded": 1},
        "images": 2,
        "step_megapixels": 2 * EACH,
        "rules": {},
    }
    [row] = await books(client, theirs)
    assert (row["jobs"], row["images"]) == ({"canceled": 1}, 0)
    all_of_tenant = bearer(issue(ledger, scopes=frozenset({Scope.USAGE, Scope.USAGE_OF_ALL})))
    assert len(await books(client, all_of_tenant)) == 2
    stranger = bearer(issue(ledger, "other", scopes=frozenset(Scope)))
    assert await books(client, stranger) == []


def test_our_own_client_reads_the_books(url, worker, key) -> None:
    text = key()["Authorization"].removeprefix("Bearer ")
    today = datetime.now(UTC).date()
    with worker, Client(url, api_key=text) as client:
        client.generate("a red circle")
        assert client.usage(last=today - timedelta(1)).data == []
        [row] = client.usage(first=today).data
    assert (row.jobs, row.images, row.step_megapixels) == ({"succeeded": 1}, 1, EACH)


async def test_without_keys_the_books_are_kept_all_the_same(client, worker) -> None:
    await create(client, {})
    worker.finish(worker.claim())
    [row] = await books(client, {})
    assert (row["key"], row["images"]) == ("-", 1)


async def test_days_outside_of_the_requested_range_are_left_out(client, worker, key) -> None:
    one = key()
    await create(client, one)
    worker.finish(worker.claim())
    today = datetime.now(UTC).date()
    yesterday, tomorrow = (str(today + timedelta(days)) for days in (-1, 1))
    assert len(await books(client, one, **{"from": str(today), "to": str(today)})) == 1
    assert len(await books(client, one, **{"from": yesterday, "to": tomorrow})) == 1
    assert await books(client, one, to=yesterday) == []
    assert await books(client, one, **{"from": "0001-01-01", "to": "0001-01-02"}) == []


@pytest.mark.parametrize(
    "days",
    [
        {"from": "2026-02-02", "to": "2026-02-01"},
        {"from": "2024-01-01", "to": "2025-01-02"},
        {"from": "yesterday"},
        {"to": "2026-02-30"},
    ],
)
async def test_days_that_make_no_sense_are_refused(client, key, days) -> None:
    answer = await client.get("/v1/usage", params=days, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_job_repeated_after_a_lost_reply_is_charged_once(client, worker, key) -> None:
    one = key(step_megapixels=1)
    await create(client, one)
    lease = worker.claim()
    worker.draw(lease)
    for _ in range(3):
        worker.ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    [row] = await books(client, one)
    assert (row["jobs"], row["images"]) == ({"succeeded": 1}, 1)
    assert (await create(client, one)).status_code == 202
