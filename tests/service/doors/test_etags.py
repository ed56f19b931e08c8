"""A client that polls a job is told when nothing has changed, and never keeps dead links."""

from types import SimpleNamespace

import pytest

from service.doors.native import generations
from tests.service.fake import FakeWorker

REQUEST = {"prompt": "a red circle"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The gateway's time, at the beginning of a half of its URLs' 900 seconds."""
    now = SimpleNamespace(s=450.0 * 4_000_000)
    monkeypatch.setattr(generations, "time", SimpleNamespace(time=lambda: now.s))
    return now


async def test_a_job_that_is_as_it_was_is_not_sent_again(client, worker: FakeWorker, clock) -> None:
    url = f"/v1/generations/{(await client.post('/v1/generations', json=REQUEST)).json()['id']}"
    queued = await client.get(url)
    tag = queued.headers["etag"]
    assert tag.startswith('W/"')
    assert queued.headers["cache-control"] == "no-store"
    for known in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
        same = await client.get(url, headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    tags = [tag]
    lease = worker.claim()
    tags.append((await client.get(url, headers={"If-None-Match": tag})).headers["etag"])
    worker.finish(lease)
    done = await client.get(url, headers={"If-None-Match": tags[-1]})
    assert (done.status_code, done.json()["status"]) == (200, "succeeded")
    tags.append(done.headers["etag"])
    assert len(set(tags)) == 3


async def test_a_known_answer_still_has_half_of_its_urls_life(client, worker, clock) -> None:
    url = f"/v1/generations/{(await client.post('/v1/generations', json=REQUEST)).json()['id']}"
    worker.finish(worker.claim())
    known = {"If-None-Match": (await client.get(url)).headers["etag"]}
    clock.s += 449
    assert (await client.get(url, headers=known)).status_code == 304
    clock.s += 2
    fresh = await client.get(url, headers=known)
    assert fresh.status_code == 200
    assert (await client.get(fresh.json()["images"][0]["url"])).status_code == 200


async def test_one_who_waits_gets_the_end(client, worker, clock) -> None:
    url = f"/v1/generations/{(await client.post('/v1/generations', json=REQUEST)).json()['id']}"
    known = {"If-None-Match": (await client.get(url)).headers["etag"]}
    worker.finish(worker.claim())
    assert (await client.get(f"{url}?wait=5", headers=known)).json()["status"] == "succeeded"
