"""Results are kept for as long as a request asks, within a bound; then the job is gone."""

import httpx
import pytest

from latentry.ledger import JobRef, Ledger
from latentry.settings import Settings
from service.background import Background
from service.gateway import Gateway
from tests.service.fake import FakeWorker
from tests.service.keys import bearer, issue

REQUEST = {"prompt": "a red circle"}


@pytest.fixture
async def background(settings: Settings):
    gateway = Gateway.open(settings)
    yield Background.of(gateway)
    await gateway.close()


async def create(client: httpx.AsyncClient, **fields: object) -> str:
    answer = await client.post("/v1/generations", json=REQUEST | fields)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


async def remove(background: Background, id: str, tenant: str = "default") -> None:
    background.retention.note([JobRef(tenant, id)])
    await background.retention.remove_due_jobs()


async def test_a_job_is_kept_for_as_long_as_asked_and_no_longer(
    client, worker: FakeWorker, ledger: Ledger
) -> None:
    ended = []
    for fields in ({"keep_for": 60}, {}):
        ended.append(await create(client, **fields))
        worker.finish(worker.claim())
    due = dict(ledger.client.zrange(f"{ledger.root}:retention", 0, -1, withscores=True))
    short, usual = (due[f"default:{id}"] for id in ended)
    finished = float(ledger.client.hget(f"{ledger.root}:job:default:{ended[0]}", "finished_ms"))
    assert short == finished + 60_000
    assert usual > short


async def test_what_was_kept_is_gone_for_as_long_again(
    app, client, worker, ledger: Ledger, background: Background
) -> None:
    id = await create(client, keep_for=60)
    worker.finish(worker.claim())
    await remove(background, id)
    tried = 0
    for path, operations in app.openapi()["paths"].items():
        if "{job_id}" not in path:
            continue
        for method in operations:
            to = path.format(job_id=id, delivery_id="msg_" + "0" * 32)
            answer = await client.request(method, to)
            assert (answer.status_code, answer.json()["code"]) == (410, "job_gone"), (method, path)
            tried += 1
    assert tried >= 4
    left = ledger.client.pttl(f"{ledger.root}:forgotten:default:{id}")
    assert 50_000 < left <= 60_000
    ledger.client.delete(f"{ledger.root}:forgotten:default:{id}")  # as it is by then
    assert (await client.get(f"/v1/generations/{id}")).status_code == 404


async def test_a_deleted_job_and_anothers_are_unknown(client, worker, ledger, background) -> None:
    id = await create(client, keep_for=60)
    await client.delete(f"/v1/generations/{id}")
    assert (await client.get(f"/v1/generations/{id}")).json()["code"] == "job_not_found"
    theirs = bearer(issue(ledger, "acme"))
    answer = await client.post("/v1/generations", json=REQUEST, headers=theirs)
    kept = answer.json()["id"]
    await remove(background, kept, "acme")
    own = bearer(issue(ledger, "other"))
    assert (await client.get(f"/v1/generations/{kept}", headers=own)).status_code == 404
    assert (await client.get(f"/v1/generations/{kept}", headers=theirs)).status_code == 410


async def test_more_than_the_bound_is_refused_before_anything_is_done(
    client, worker, settings: Settings
) -> None:
    most = settings.longest_kept_s
    await create(client, keep_for=most)
    for path, body in (
        ("/v1/generations", REQUEST),
        ("/v1/interpolations", {"from": REQUEST, "to": REQUEST, "frames": 3}),
    ):
        refused = await client.post(path, json=body | {"keep_for": most + 1})
        assert refused.status_code == 422
        [wrong] = refused.json()["errors"]
        assert wrong == {"pointer": "/keep_for", "detail": f"Must be at most {most}."}


def test_an_operator_may_allow_more_and_never_less_than_usual() -> None:
    assert Settings(result_ttl_s=100).longest_kept_s == 100
    assert Settings(result_ttl_s=100, max_keep_s=300).longest_kept_s == 300
    assert Settings(result_ttl_s=100, max_keep_s=30).longest_kept_s == 100
