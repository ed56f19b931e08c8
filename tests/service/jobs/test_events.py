"""A job's events over server-sent events, on a real socket."""

import asyncio
import base64
import threading
from collections.abc import Iterator

import httpx
import pytest

from latentry.client import Client
from latentry.client.http.sse import ServerSentEvent, SseParser
from latentry.contracts import Event, EventType, Job, JobStatus, Preview, Progress
from latentry.ledger import JobRef, Ledger, LedgerEvent, PreviewUpdate, StepUpdate
from service.jobs.subscription import MAX_EVENTS, Pending, Subscription
from tests.service.fake import PICTURE, FakeWorker


class Watch:
    """One open stream."""

    def __init__(self, response: httpx.Response) -> None:
        self._events = self._read(response)

    def _read(self, response: httpx.Response) -> Iterator[ServerSentEvent]:
        parser = SseParser()
        for chunk in response.iter_bytes():
            yield from parser.feed(chunk)

    def next(self) -> tuple[ServerSentEvent, Event]:
        raw = next(self._events)
        return raw, Event.model_validate_json(raw.data)

    def rest(self) -> list[Event]:
        return [Event.model_validate_json(raw.data) for raw in self._events]


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=10) as client:
        yield client


def create(http: httpx.Client) -> Job:
    return Job.model_validate_json(http.post("/v1/generations", json={"prompt": "a"}).content)


def test_a_stream_has_the_events_in_order_and_ends_with_the_job(http, worker: FakeWorker) -> None:
    job = create(http)
    with http.stream("GET", f"/v1/generations/{job.id}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        watch = Watch(response)
        raw, queued = watch.next()
        assert (raw.event, queued.type, queued.position) == ("queued", EventType.QUEUED, 0)
        assert raw.id == queued.id
        lease = worker.claim()
        assert watch.next()[1].type is EventType.RUNNING
        worker.step(lease, 5)
        raw, step = watch.next()
        assert step.progress == Progress(step=5, steps=25)
        assert step.id is None
        worker.draw(lease)
        _, drawn = watch.next()
        assert drawn.image is not None
        assert http.get(drawn.image.url).status_code == 200
        worker.settle(lease)
        _, end = watch.next()
        assert end.job is not None
        assert (end.type, end.job.status) == (EventType.SUCCEEDED, JobStatus.SUCCEEDED)
        assert len(end.job.images) == 1
        assert watch.rest() == []


def test_a_preview_goes_only_to_subscribers_of_its_job(http, url: str, worker: FakeWorker) -> None:
    jobs = [create(http) for _ in range(2)]
    with (
        Client(url) as client,
        http.stream("GET", f"/v1/generations/{jobs[1].id}/events") as other,
    ):
        watch = Watch(other)
        watch.next()
        seen = []
        for event in client.events(jobs[0].id):
            seen.append(event.type)
            if event.type is EventType.QUEUED:
                lease = worker.claim()
                worker.show(lease, 5, index=1)
            if event.type is EventType.PREVIEW:
                assert (event.id, event.progress) == (None, None)
                kind, _, picture = event.preview.url.partition(",")
                assert (event.preview.index, event.preview.step) == (1, 5)
                assert kind == "data:image/jpeg;base64"
                assert base64.b64decode(picture) == PICTURE
                worker.finish(lease)
        worker.finish(worker.claim())
        assert [event.type for event in watch.rest()] == ["running", "image", "succeeded"]
    assert seen == ["queued", "running", "preview", "image", "succeeded"]


def test_a_finished_job_is_replayed_whole(http, worker: FakeWorker) -> None:
    job = create(http)
    worker.finish(worker.claim())
    with http.stream("GET", f"/v1/generations/{job.id}/events") as response:
        types = [event.type for event in Watch(response).rest()]
    assert types == ["queued", "running", "image", "succeeded"]


def test_a_stream_goes_on_after_the_last_event_a_client_saw(http, worker: FakeWorker) -> None:
    job = create(http)
    worker.finish(worker.claim())
    path = f"/v1/generations/{job.id}/events"
    with http.stream("GET", path) as response:
        events = Watch(response).rest()
    for seen in range(1, 4):
        headers = {"Last-Event-ID": events[seen - 1].id or ""}
        with http.stream("GET", path, headers=headers) as response:
            again = [event.id for event in Watch(response).rest()]
        assert again == [event.id for event in events[seen:]]


def test_a_client_that_has_seen_the_end_gets_204(http, worker: FakeWorker) -> None:
    job = create(http)
    worker.finish(worker.claim())
    path = f"/v1/generations/{job.id}/events"
    with http.stream("GET", path) as response:
        end = Watch(response).rest()[-1]
    answer = http.get(path, headers={"Last-Event-ID": end.id or ""})
    assert (answer.status_code, answer.content) == (204, b"")
    with Client(str(http.base_url)) as client:
        assert list(client.events(job.id, last_event_id=end.id)) == []


def test_an_event_id_from_the_future_does_not_hide_what_comes(http, worker: FakeWorker) -> None:
    job = create(http)
    future = {"Last-Event-ID": f"{10**18}-0"}
    with http.stream("GET", f"/v1/generations/{job.id}/events", headers=future) as response:
        watch = Watch(response)
        assert watch.next()[1].type is EventType.QUEUED
        worker.finish(worker.claim())
        assert [event.type for event in watch.rest()] == ["running", "image", "succeeded"]


@pytest.mark.parametrize("id", ["garbage", "9" * 40, "-", "1-1; DROP", "0-0"])
def test_an_unknown_event_id_means_from_the_beginning(http, worker, id: str) -> None:
    job = create(http)
    worker.finish(worker.claim())
    path = f"/v1/generations/{job.id}/events"
    with http.stream("GET", path, headers={"Last-Event-ID": id}) as response:
        assert len(Watch(response).rest()) == 4


def test_an_unknown_job_has_no_stream(http, worker: FakeWorker) -> None:
    answer = http.get("/v1/generations/gen_" + "0" * 32 + "/events")
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_deleted_job_ends_its_stream(http, worker: FakeWorker) -> None:
    job = create(http)
    with http.stream("GET", f"/v1/generations/{job.id}/events") as response:
        watch = Watch(response)
        watch.next()
        assert http.delete(f"/v1/generations/{job.id}").status_code == 204
        assert [event.type for event in watch.rest()] == ["canceled"]


def test_fifty_watchers_hear_the_end(http, url: str, worker: FakeWorker) -> None:
    job = create(http)
    ends: list[str] = []
    all_watch = threading.Barrier(51)

    def watch() -> None:
        with (
            httpx.Client(base_url=url, timeout=20) as own,
            own.stream("GET", f"/v1/generations/{job.id}/events") as response,
        ):
            watching = Watch(response)
            watching.next()
            all_watch.wait()
            ends.append(watching.rest()[-1].type)

    watchers = [threading.Thread(target=watch) for _ in range(50)]
    for watcher in watchers:
        watcher.start()
    all_watch.wait()
    worker.finish(worker.claim())
    for watcher in watchers:
        watcher.join()
    assert ends == ["succeeded"] * 50


def test_a_broken_subscription_loses_no_durable_event(http, worker, ledger: Ledger) -> None:
    job = create(http)
    with http.stream("GET", f"/v1/generations/{job.id}/events") as response:
        watch = Watch(response)
        watch.next()
        ledger.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        worker.finish(worker.claim())
        assert [event.type for event in watch.rest()] == ["running", "image", "succeeded"]


async def test_waiting_for_the_end_is_woken_by_nothing_else() -> None:
    subscription, ref = Subscription(ends_only=True), JobRef("default", "gen_1")
    await subscription.take()
    end = LedgerEvent(ref, "1-0", EventType.SUCCEEDED, {})
    waiting = asyncio.create_task(subscription.take())
    subscription.put(LedgerEvent(ref, "0-1", EventType.RUNNING, {}))
    subscription.put(StepUpdate(ref, Progress(step=1, steps=2)))
    await asyncio.wait([waiting], timeout=0)
    assert not waiting.done()
    subscription.put(end)
    assert await waiting == Pending(has_gap=False, events=[end], transient=[])


async def test_a_subscription_does_not_grow_with_a_slow_reader() -> None:
    subscription, ref = Subscription(), JobRef("default", "gen_1")
    await subscription.take()
    seen = [
        PreviewUpdate(ref, Preview(index=k % 2, step=k, url="data:"))
        for k in range(10 * MAX_EVENTS)
    ]
    for number in range(10 * MAX_EVENTS):
        subscription.put(seen[number])
        subscription.put(StepUpdate(ref, Progress(step=number, steps=10_000)))
        subscription.put(LedgerEvent(ref, f"{number}-0", EventType.IMAGE, {}))
    has_gap, events, transient = await subscription.take()
    assert has_gap
    assert len(events) <= MAX_EVENTS
    last_step = StepUpdate(ref, Progress(step=10 * MAX_EVENTS - 1, steps=10_000))
    assert len(transient) == 3
    assert set(transient) == {last_step, *seen[-2:]}
