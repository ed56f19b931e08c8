"""Event streams over real connections that break."""

import asyncio

import httpx
import pytest

from latentry.client import ApiError, AsyncClient, Client, Event, Unreachable
from latentry.contracts import EventType, JobStatus, Progress
from tests.latentry.client.conftest import at_once, job, problem
from tests.latentry.client.stub import answer, serving, sse

QUEUED = Event(type=EventType.QUEUED, id="1-0", position=0)
RUNNING = Event(type=EventType.RUNNING, id="2-0")
STEP = Event(type=EventType.STEP, progress=Progress(step=3, steps=25))
DONE = Event(type=EventType.SUCCEEDED, id="3-0", job=job())


class BreaksOff(Exception):
    """The stub's connection goes down in the middle of an answer."""


class Stub:
    """A gateway whose streams are scripts: bytes to send, an exception to break off with, or a
    whole response."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.last_event_ids = []

    async def __call__(self, scope, receive, send):
        headers = dict(scope["headers"])
        self.last_event_ids.append(headers.get(b"last-event-id", b"").decode())
        script = self.scripts.pop(0)
        if not isinstance(script, list):
            kind = script.headers.get("Content-Type", "")
            return await answer(send, script.status_code, kind, script.content)
        await answer(send, 200, "text/event-stream", more=True)
        for part in script:
            if part is BreaksOff:
                raise BreaksOff
            await send({"type": "http.response.body", "body": part, "more_body": True})
        return await send({"type": "http.response.body"})


@pytest.fixture(params=[Client, AsyncClient])
def follow(request):
    """Follows a job's events on a stub that plays the scripts; gives the events and the stub."""

    def run(*scripts, **options):
        stub = Stub(*scripts)
        with serving(stub) as url:
            if request.param is AsyncClient:
                return asyncio.run(collect(url, options)), stub
            with Client(url, retries=at_once()) as client:
                return list(client.events("job-1", **options)), stub

    async def collect(url, options):
        async with AsyncClient(url, retries=at_once()) as client:
            return [event async for event in client.events("job-1", **options)]

    return run


def test_a_damaged_event_is_an_error_that_says_so(follow):
    broken = sse(RUNNING).replace(b"{", b"<")
    with pytest.raises(ApiError, match=r"/events returned 200 .*does a proxy change") as caught:
        follow([sse(QUEUED) + broken, sse(DONE)], [sse(DONE)])
    assert (caught.value.code, caught.value.request_id) == ("http_200", "req_1")


def test_events_arrive_in_order_and_end_with_the_job(follow):
    events, _ = follow([sse(QUEUED) + sse(RUNNING), b": ping\n\n", sse(STEP), sse(DONE)])
    assert events == [QUEUED, RUNNING, STEP, DONE]
    assert events[-1].job.status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("end", [[], [BreaksOff], [sse(STEP)[:10], BreaksOff]])
def test_a_broken_stream_goes_on_after_the_last_durable_event(follow, end):
    events, stub = follow([sse(QUEUED), sse(RUNNING), sse(STEP), *end], [sse(DONE)])
    assert events == [QUEUED, RUNNING, STEP, DONE]
    assert stub.last_event_ids == ["", "2-0"]


def test_a_caller_may_resume_where_another_left_off(follow):
    _, stub = follow([sse(DONE)], last_event_id="2-0")
    assert stub.last_event_ids == ["2-0"]


def test_nothing_after_the_terminal_event_is_waited_for(follow):
    events, _ = follow([sse(DONE), sse(STEP), BreaksOff])
    assert events == [DONE]


def test_a_stream_with_no_more_events_ends(follow):
    events, stub = follow([sse(QUEUED)], httpx.Response(204))
    assert events == [QUEUED]
    assert stub.last_event_ids == ["", "1-0"]


def test_unknown_events_of_a_newer_service_are_skipped(follow):
    events, _ = follow([b'event: verdict\ndata: {"type": "verdict"}\n\n', sse(DONE)])
    assert events == [DONE]


def test_a_stream_refused_by_a_transient_error_is_retried(follow):
    events, stub = follow(problem(503, "shutting_down"), [sse(DONE)])
    assert events == [DONE]
    assert len(stub.last_event_ids) == 2


def test_a_stream_of_an_unknown_job_is_an_api_error(follow):
    with pytest.raises(ApiError) as caught:
        follow(problem(404, "job_not_found"))
    assert caught.value.code == "job_not_found"


@pytest.mark.parametrize("status", [200, 302])
def test_a_page_instead_of_a_stream_is_an_api_error(follow, status):
    with pytest.raises(ApiError) as caught:
        follow(httpx.Response(status, html="<p>Log in.</p>"), [sse(DONE)])
    assert caught.value.code == f"http_{status}"


def test_a_stream_that_sends_nothing_is_given_up(follow):
    with pytest.raises(Unreachable, match="ended before the job"):
        follow([], [], [], [])
