"""`/v1/generations` as a client sees it."""

import asyncio
import re
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI

from latentry.contracts import Job, JobKind, JobStatus
from latentry.errors import EngineError, LeaseLost
from latentry.ledger import Ledger, commands
from latentry.settings import Settings
from service.doors.native.pages import cursors
from tests.service.fake import PICTURE, FakeWorker

REQUEST = {"prompt": "a red circle"}


async def create(client: httpx.AsyncClient, **fields: object) -> Job:
    answer = await client.post("/v1/generations", json=REQUEST | fields)
    assert answer.status_code == 202, answer.text
    return Job.model_validate_json(answer.content)


async def read(client: httpx.AsyncClient, id: str) -> Job:
    answer = await client.get(f"/v1/generations/{id}")
    assert answer.status_code == 200, answer.text
    return Job.model_validate_json(answer.content)


async def test_a_request_is_accepted_with_every_blank_filled(client, worker: FakeWorker) -> None:
    answer = await client.post("/v1/generations", json=REQUEST)
    job = Job.model_validate_json(answer.content)
    assert answer.status_code == 202
    assert answer.headers["location"] == job.urls.self == f"http://gateway/v1/generations/{job.id}"
    assert re.fullmatch(r"gen_[0-9a-f]{32}", job.id)
    assert (job.kind, job.status, job.queue_position) == (JobKind.GENERATION, JobStatus.QUEUED, 0)
    assert job.request.model == "shapes"
    assert (job.request.width, job.request.num_inference_steps) == (128, 25)
    assert 0 <= job.request.seed < 2**32
    assert job.created_at.utcoffset() is not None


async def test_a_finished_job_shows_pictures_whose_links_work(client, worker: FakeWorker) -> None:
    job = await create(client, n=2, seed=5)
    worker.finish(worker.claim())
    done = await read(client, job.id)
    assert done.status is JobStatus.SUCCEEDED
    assert [image.seed for image in done.images] == [5, 6]
    assert None not in (done.queue_ms, done.run_ms, done.started_at, done.finished_at)
    picture = await client.get(done.images[0].url)
    assert (picture.status_code, picture.content) == (200, PICTURE)
    assert picture.headers["content-type"] == "image/png"


async def test_a_failed_job_says_why_and_keeps_its_finished_pictures(client, worker) -> None:
    job = await create(client, n=2)
    lease = worker.claim()
    worker.draw(lease)
    worker.fails_with = EngineError("The engine failed.")
    worker.settle(lease, JobStatus.FAILED)
    failed = await read(client, job.id)
    assert failed.status is JobStatus.FAILED
    assert failed.error is not None
    assert failed.error.code == "engine_error"
    assert len(failed.images) == 1


async def test_a_running_job_shows_its_step(client, worker: FakeWorker) -> None:
    job = await create(client)
    worker.step(worker.claim(), 3)
    running = await read(client, job.id)
    assert running.progress is not None
    assert (running.progress.step, running.progress.steps) == (3, 25)
    assert running.queue_position is None


async def test_an_unknown_job_is_not_found_on_every_route(client, worker: FakeWorker) -> None:
    for id in ("gen_" + "0" * 32, "x", "gen_%00", "a:b", "é" * 400):
        for method, tail in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/cancel"),
            ("GET", "/events"),
        ):
            answer = await client.request(method, f"/v1/generations/{id}{tail}")
            assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
            assert answer.headers["content-type"] == "application/problem+json"


async def test_prefer_wait_answers_with_the_finished_job(client, worker: FakeWorker) -> None:
    with worker:
        answer = await client.post("/v1/generations", json=REQUEST, headers={"Prefer": "wait=20"})
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=20"
    assert Job.model_validate_json(answer.content).status is JobStatus.SUCCEEDED


async def test_prefer_wait_gives_up_with_202(client, worker: FakeWorker) -> None:
    answer = await client.post("/v1/generations", json=REQUEST, headers={"Prefer": "wait=1"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "wait=1"


async def test_the_wait_is_capped_by_the_settings(client, worker: FakeWorker) -> None:
    with worker:
        answer = await client.post("/v1/generations", json=REQUEST, headers={"Prefer": "wait=9999"})
    assert answer.headers["preference-applied"] == "wait=60"


async def test_a_long_poll_returns_as_soon_as_the_job_ends(client, worker: FakeWorker) -> None:
    job = await create(client)
    poll = asyncio.create_task(client.get(f"/v1/generations/{job.id}?wait=30"))
    lease = await asyncio.to_thread(worker.claim)
    await asyncio.to_thread(worker.finish, lease)
    answer = await asyncio.wait_for(poll, 5)
    assert answer.json()["status"] == "succeeded"


async def test_a_long_poll_is_capped_by_the_settings(app: FastAPI, client, worker) -> None:
    job = await create(client)
    settings = app.state.gateway.settings.model_copy(update={"max_wait_s": 1})
    app.state.gateway = replace(app.state.gateway, settings=settings)
    poll = client.get(f"/v1/generations/{job.id}?wait=" + "9" * 30)
    assert (await asyncio.wait_for(poll, 10)).json()["status"] == "queued"


@pytest.mark.parametrize("wait", ["-1", "1.5", "soon", ""])
async def test_a_wait_that_is_no_time_is_refused(client, worker, wait: str) -> None:
    job = await create(client)
    answer = await client.get(f"/v1/generations/{job.id}?wait={wait}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_long_poll_of_a_finished_job_returns_at_once(client, worker: FakeWorker) -> None:
    job = await create(client)
    worker.finish(worker.claim())
    answer = await asyncio.wait_for(client.get(f"/v1/generations/{job.id}?wait=30"), 5)
    assert answer.json()["status"] == "succeeded"


async def test_waiting_clients_are_released_when_the_gateway_stops(app: FastAPI, client, worker):
    job = await create(client)
    poll = asyncio.create_task(client.get(f"/v1/generations/{job.id}?wait=30"))
    await client.get("/readyz")
    app.state.gateway.stop()
    answer = await asyncio.wait_for(poll, 5)
    assert answer.json()["status"] == "queued"


async def test_fifty_posts_with_one_idempotency_key_are_one_job(client, worker, ledger: Ledger):
    posts = [
        client.post("/v1/generations", json=REQUEST, headers={"Idempotency-Key": "once"})
        for _ in range(50)
    ]
    answers = await asyncio.gather(*posts)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    [entry] = ledger.run(commands.list_models())
    assert entry.waiting == 1


async def test_an_idempotency_key_with_another_body_is_a_conflict(client, worker) -> None:
    headers = {"Idempotency-Key": "once"}
    await client.post("/v1/generations", json=REQUEST, headers=headers)
    spaced = b'{ "prompt" : "a red circle", "n": 1 }'
    json = headers | {"Content-Type": "application/json"}
    same = await client.post("/v1/generations", content=spaced, headers=json)
    other = await client.post("/v1/generations", json={"prompt": "a frog"}, headers=headers)
    assert same.status_code == 202
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")


async def test_a_repeat_finds_its_job_though_the_model_is_gone(client, worker, ledger) -> None:
    async def post(key: str, **fields: object) -> httpx.Response:
        headers = {"Idempotency-Key": key}
        return await client.post("/v1/generations", json=REQUEST | fields, headers=headers)

    first = await post("once")
    worker.finish(worker.claim())
    ledger.run(commands.withdraw_model("fake", "shapes"))
    again, other, new = await post("once"), await post("once", n=2), await post("else")
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    assert (new.status_code, new.json()["code"]) == (503, "no_model")


@pytest.mark.parametrize("key", ["", "x" * 256, "snow\u2603", "tab\there"])
async def test_an_idempotency_key_is_short_printable_ascii(client, worker, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    answer = await client.post("/v1/generations", json=REQUEST, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")


async def test_canceling_a_waiting_job_ends_it_and_again_changes_nothing(client, worker) -> None:
    job = await create(client)
    for _ in range(2):
        answer = await client.post(f"/v1/generations/{job.id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")


async def test_canceling_a_running_job_asks_its_worker_to_stop(client, worker) -> None:
    job = await create(client)
    lease = worker.claim()
    answer = await client.post(f"/v1/generations/{job.id}/cancel")
    assert answer.json()["status"] == "running"
    assert worker.ledger.run(commands.renew([lease], lease_s=5)) == ["stop"]


async def test_a_deleted_job_leaves_nothing_behind(client, worker, settings: Settings) -> None:
    job = await create(client)
    worker.finish(worker.claim())
    link = (await read(client, job.id)).images[0].url
    assert (await client.delete(f"/v1/generations/{job.id}")).status_code == 204
    assert (await client.get(f"/v1/generations/{job.id}")).status_code == 404
    assert (await client.get(link)).json()["code"] == "file_not_found"
    assert (await client.delete(f"/v1/generations/{job.id}")).status_code == 404
    assert [path for path in (settings.data_dir / "images").rglob("*") if path.is_file()] == []


async def test_deleting_a_running_job_does_not_wait_and_leaves_nothing_behind(
    client, worker, settings: Settings
) -> None:
    job = await create(client, n=2)
    lease = worker.claim()
    worker.draw(lease)
    assert (await client.delete(f"/v1/generations/{job.id}")).status_code == 204
    assert (await client.get(f"/v1/generations/{job.id}")).status_code == 404
    assert worker.ledger.run(commands.renew([lease], lease_s=5)) == ["lost"]
    with pytest.raises(LeaseLost):  # a real worker removes the picture then
        worker.draw(lease, 1)
    left = [path for path in (settings.data_dir / "images").rglob("*") if path.is_file()]
    assert len(left) == 1


async def test_a_record_that_makes_no_sense_does_not_end_the_list(client, worker) -> None:
    oldest, broken, newest = [(await create(client)).id for _ in range(3)]
    record = f"{worker.ledger.root}:job:default:{broken}"
    worker.ledger.client.hset(record, "request", '{"from": "another version"}')
    page = (await client.get("/v1/generations?limit=2")).json()
    assert [job["id"] for job in page["data"]] == [newest]
    query = {"limit": 2, "cursor": page["next_cursor"]}
    rest = (await client.get("/v1/generations", params=query)).json()
    assert [job["id"] for job in rest["data"]] == [oldest]
    assert rest["next_cursor"] is None


async def test_a_record_that_makes_no_sense_is_said_to_be_one(client, worker) -> None:
    job = await create(client)
    record = f"{worker.ledger.root}:job:default:{job.id}"
    worker.ledger.client.hset(record, "request", '{"from": "another version"}')
    path = f"/v1/generations/{job.id}"
    for answer in (
        await client.get(path),
        await client.get(f"{path}/events"),
        await client.post(f"{path}/cancel"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "unreadable_record")


async def test_a_record_that_makes_no_sense_can_be_deleted(
    client, worker, settings: Settings
) -> None:
    job = await create(client)
    worker.finish(worker.claim())
    record = f"{worker.ledger.root}:job:default:{job.id}"
    worker.ledger.client.hset(record, "request", '{"from": "another version"}')
    assert (await client.delete(f"/v1/generations/{job.id}")).status_code == 204
    assert not worker.ledger.client.exists(record)
    assert [path for path in (settings.data_dir / "images").rglob("*") if path.is_file()] == []


async def test_pages_run_from_the_newest_to_the_oldest_without_gaps(client, worker) -> None:
    ids = [(await create(client)).id for _ in range(5)]
    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/generations", params=query)).json()
        seen += [job["id"] for job in page["data"]]
        if not (cursor := page["next_cursor"]):
            break
    assert seen == ids[::-1]


@pytest.mark.parametrize("turn", [10**digits - 1 for digits in range(1, 17)])
def test_a_cursor_gives_back_its_sequence_number(turn: int) -> None:
    assert cursors.parse(cursors.cursor(turn)) == turn


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "cursor=zzz", "cursor=%00", "cursor=am9iIC01"]
)
async def test_a_page_out_of_range_is_refused(client, worker, query: str) -> None:
    answer = await client.get(f"/v1/generations?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["pointer"] == query.partition("=")[0]
