"""For one tenant, another's jobs and files do not exist: byte for byte."""

import io

import pytest
from PIL import Image

from tests.service.keys import bearer, issue

REQUEST = {"prompt": "a red circle"}
UNKNOWN_ID = "gen_" + "0" * 32


@pytest.fixture
def acme(ledger) -> dict[str, str]:
    return bearer(issue(ledger, "acme"))


@pytest.fixture
def other(ledger) -> dict[str, str]:
    return bearer(issue(ledger, "other"))


async def create(client, caller, key: str = "", **fields) -> str:
    headers = caller | ({"Idempotency-Key": key} if key else {})
    answer = await client.post("/v1/generations", json=REQUEST | fields, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def telling(answer, *ids: str) -> tuple:
    """A response without what differs in every one, and without the requested id."""
    text = answer.text
    for id in ids:
        text = text.replace(id, "ID")
    headers = {k: v for k, v in answer.headers.items() if k != "x-request-id"}
    return answer.status_code, text.replace(answer.headers["x-request-id"], ""), headers


async def test_anothers_job_answers_on_every_route_as_one_that_never_was(
    app, client, worker, acme, other
) -> None:
    id = await create(client, acme)
    tried = 0
    for path, operations in app.openapi()["paths"].items():
        if "{job_id}" not in path:
            continue
        for method in operations:
            to = path.replace("{delivery_id}", "msg_" + "0" * 32).format
            theirs = await client.request(method, to(job_id=id), headers=other)
            unknown = await client.request(method, to(job_id=UNKNOWN_ID), headers=other)
            assert theirs.status_code == 404, (method, path)
            assert telling(theirs, id) == telling(unknown, UNKNOWN_ID)
            tried += 1
    assert tried >= 4
    still = await client.get(f"/v1/generations/{id}", headers=acme)
    assert still.json()["status"] == "queued"


async def test_waiting_for_anothers_job_does_not_wait(client, worker, acme, other) -> None:
    id = await create(client, acme)
    answer = await client.get(f"/v1/generations/{id}?wait=60", headers=other, timeout=5)
    assert answer.status_code == 404


async def test_anothers_file_answers_on_every_route_as_one_that_never_was(
    app, client, acme, other
) -> None:
    pixels = io.BytesIO()
    Image.new("RGB", (8, 8)).save(pixels, "PNG")
    kept = await client.post(
        "/v1/files", content=pixels.getvalue(), headers=acme | {"Content-Type": "image/png"}
    )
    assert kept.status_code == 201, kept.text
    id = kept.json()["id"]
    unknown_id = id[:-32] + "0" * 32
    for path, operations in app.openapi()["paths"].items():
        for method in operations if "{file_id}" in path else ():
            theirs = await client.request(method, path.format(file_id=id), headers=other)
            unknown = await client.request(method, path.format(file_id=unknown_id), headers=other)
            assert theirs.status_code == 404, (method, path)
            assert telling(theirs, id) == telling(unknown, unknown_id)
    assert (await client.get(f"/v1/files/{id}", headers=acme)).status_code == 200


async def test_another_tenants_jobs_are_not_listed_nor_reached_by_a_cursor(
    client, worker, acme, other
) -> None:
    ids = [await create(client, acme) for _ in range(3)]
    page = (await client.get("/v1/generations?limit=1", headers=acme)).json()
    assert page["data"][0]["id"] == ids[-1]
    cursor = {"cursor": page["next_cursor"]}
    assert (await client.get("/v1/generations", params=cursor, headers=other)).json()["data"] == []


async def test_one_idempotency_key_is_two_for_two_tenants(client, worker, acme, other) -> None:
    mine = await create(client, acme, key="k", seed=1)
    theirs = await create(client, other, key="k", seed=2)  # for one tenant, that were a conflict
    assert mine != theirs
    assert await create(client, acme, key="k", seed=1) == mine
    refused = await client.post(
        "/v1/generations", json=REQUEST | {"seed": 2}, headers=acme | {"Idempotency-Key": "k"}
    )
    assert refused.json()["code"] == "idempotency_conflict"


async def test_two_keys_of_one_tenant_share_its_jobs(client, worker, acme, ledger) -> None:
    id = await create(client, acme)
    second = bearer(issue(ledger, "acme"))
    assert (await client.get(f"/v1/generations/{id}", headers=second)).status_code == 200


async def test_the_tenant_is_in_every_key_that_holds_something_of_its(
    client, worker, acme, settings
) -> None:
    id = await create(client, acme, key="k")
    lease = worker.claim()
    image = worker.draw(lease)
    assert image.key.startswith(f"acme/{id}/")
    names = [
        name.removeprefix(f"{worker.ledger.root}:") for name in worker.ledger.client.scan_iter()
    ]
    own = [name for name in names if id in name or name.startswith(("idem:", "jobs:", "usage:"))]
    assert own
    assert all(name.split(":")[1] == "acme" for name in own)
    worker.settle(lease)
    job = (await client.get(f"/v1/generations/{id}", headers=acme)).json()
    assert (await client.get(job["images"][0]["url"])).status_code == 200
    forged = job["images"][0]["url"].replace("/acme/", "/other/")
    assert (await client.get(forged)).json()["code"] == "link_refused"


async def test_another_tenants_events_are_not_received(client, worker, acme, other) -> None:
    id = await create(client, acme)
    lease = worker.claim()
    worker.finish(lease)
    stream = await client.get(f"/v1/generations/{id}/events", headers=acme)
    assert "succeeded" in stream.text
    assert (await client.get(f"/v1/generations/{id}/events", headers=other)).status_code == 404
    assert id in stream.text
