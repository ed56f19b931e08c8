"""`GET /v1/generations` with filters, as a client sees it."""

from datetime import timedelta

import httpx
import pytest

from latentry.contracts import Job, JobKind, JobList
from latentry.ledger import Ledger, commands
from latentry.ledger.commands import JobFilter, find_jobs
from latentry.ledger.commands import search as ledger_search
from service.jobs import search
from tests.latentry.ledger.factory import new_job, request
from tests.service.fake import FakeWorker

REQUEST = {"prompt": "a red circle"}


async def create(client: httpx.AsyncClient, **fields: object) -> Job:
    answer = await client.post("/v1/generations", json=REQUEST | fields)
    assert answer.status_code == 202, answer.text
    return Job.model_validate_json(answer.content)


async def listed(client: httpx.AsyncClient, **query: object) -> JobList:
    answer = await client.get("/v1/generations", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return JobList.model_validate_json(answer.content)


def ids(page: JobList) -> list[str]:
    return [job.id for job in page]


async def test_jobs_are_found_by_their_states(client, worker: FakeWorker) -> None:
    done = await create(client)
    worker.finish(worker.claim())
    waiting = await create(client)
    canceled = await create(client)
    await client.post(f"/v1/generations/{canceled.id}/cancel")
    assert ids(await listed(client, status="queued")) == [waiting.id]
    assert ids(await listed(client, status=["succeeded", "canceled"])) == [canceled.id, done.id]
    assert ids(await listed(client, status="failed")) == []


async def test_jobs_are_found_by_labels_models_kinds_and_times(client, worker) -> None:
    first = await create(client, metadata={"user": "ada", "run": "1"})
    second = await create(client, metadata={"user": "ada", "run": "a=b"})
    third = await create(client)
    assert ids(await listed(client, metadata="user=ada")) == [second.id, first.id]
    assert ids(await listed(client, metadata=["user=ada", "run=a=b"])) == [second.id]
    assert ids(await listed(client, metadata="user=bob")) == []
    assert ids(await listed(client, model="shapes", kind="generation", limit=1)) == [third.id]
    assert ids(await listed(client, model="other")) == []
    assert ids(await listed(client, kind="upscale")) == []
    moment = second.created_at
    assert ids(await listed(client, until=moment.isoformat())) == [
        job.id for job in (second, first) if job.created_at < moment
    ]
    assert ids(await listed(client, since=(moment + timedelta(hours=1)).isoformat())) == []
    since = await listed(client, since=first.created_at.timestamp() - 1)
    assert ids(since) == [third.id, second.id, first.id]


async def test_a_count_is_of_all_that_match_and_pages_follow_each_other(
    client, worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_search, "LOOKED_AT", 3)  # several calls of the ledger a page
    jobs = [await create(client, metadata={"odd": str(i % 2)}) for i in range(11)]
    odd = [job.id for job in reversed(jobs) if job.request.metadata["odd"] == "1"]
    seen, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = await listed(client, metadata="odd=1", limit=2, count=True, **more)
        assert page.count == 5
        assert len(page) <= 2
        seen += ids(page)
        if (cursor := page.next_cursor) is None:
            break
    assert seen == odd
    assert (await listed(client, count=True, limit=1)).count == 11
    assert (await listed(client)).count is None


async def test_a_search_that_looks_at_too_many_goes_on_with_its_cursor(
    client, worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_search, "LOOKED_AT", 2)
    monkeypatch.setattr(search, "MOST_LOOKED_AT", 4)
    rare = await create(client, metadata={"rare": "yes"})
    for _ in range(5):
        await create(client)
    page = await listed(client, metadata="rare=yes")
    assert (ids(page), page.next_cursor is None) == ([], False)
    assert ids(await listed(client, metadata="rare=yes", cursor=page.next_cursor)) == [rare.id]


async def test_a_search_reads_no_requests(client, worker, ledger: Ledger) -> None:
    found = await create(client, metadata={"user": "ada"})
    ledger.client.hset(f"{ledger.root}:job:default:{found.id}", "request", "{")
    ada = JobFilter(kind=JobKind.GENERATION, metadata={"user": "ada"})
    one = ledger.run(find_jobs("default", ada, below=None, limit=0))
    assert (one.looked_at, one.matching) == (1, 1)


async def test_a_page_of_unreadable_records_goes_on_with_its_cursor(
    client, worker, ledger: Ledger
) -> None:
    jobs = [await create(client) for _ in range(3)]
    for job in jobs[1:]:
        ledger.client.hset(f"{ledger.root}:job:default:{job.id}", "request", "{")
    page = await listed(client, limit=2)
    assert (ids(page), page.next_cursor is None) == ([], False)
    last = await listed(client, limit=2, cursor=page.next_cursor)
    assert (ids(last), last.next_cursor) == ([jobs[0].id], None)


async def test_others_jobs_are_never_found(client, worker, ledger: Ledger) -> None:
    await create(client, metadata={"user": "ada"})
    own = new_job(tenant="else", request=request(metadata={"user": "ada"}))
    ledger.run(commands.create(own, max_queued=9))
    page = await listed(client, metadata="user=ada", count=True)
    assert (len(page), page.count) == (1, 1)
    found = ledger.run(find_jobs("else", JobFilter(metadata={"user": "ada"}), below=None, limit=9))
    assert [record.ref for record in found.records if record] == [own.ref]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=done", "status"),
        ("kind=video", "kind"),
        ("metadata=user", "metadata"),
        ("metadata==ada", "metadata"),
        ("metadata=user=ada&metadata=user=bob", "metadata"),
        ("since=yesterday", "since"),
        ("count=perhaps", "count"),
        ("page=2", "page"),
        ("limit=101", "limit"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(client, worker, query, field) -> None:
    answer = await client.get(f"/v1/generations?{query}")
    assert answer.status_code == 422
    assert field in [wrong["pointer"] for wrong in answer.json()["errors"]]
