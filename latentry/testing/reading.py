"""The fake's answers about jobs."""

import httpx

from latentry.contracts import Delivery, DeliveryList, Event, JobList, JobStatus
from latentry.errors import DeliveryNotFound
from latentry.testing import answers
from latentry.testing.jobs import FakeJob
from latentry.testing.query import JobQuery
from latentry.testing.state import FakeCall, State


def list_generations(state: State, call: FakeCall) -> httpx.Response:
    """One page, newest first. A cursor is a number of jobs to leave out."""
    query = JobQuery.of(call.request.url.params)
    found = [job for job in map(state.told, reversed(state.jobs.values())) if query.fits(job)]
    end = query.start + query.limit
    page = JobList(
        data=found[query.start : end],
        next_cursor=str(end) if end < len(found) else None,
        count=len(found) if query.count else None,
    )
    return answers.json(page)


def get_generation(state: State, call: FakeCall) -> httpx.Response:
    """The job, which goes on by being read."""
    job = _job(state, call)
    job.advance()
    return answers.json(state.told(job))


def cancel_generation(state: State, call: FakeCall) -> httpx.Response:
    """The job, canceled unless it has ended."""
    job = _job(state, call)
    job.end(JobStatus.CANCELED)
    return answers.json(state.told(job))


def delete_generation(state: State, call: FakeCall) -> httpx.Response:
    """The job is forgotten."""
    del state.jobs[_job(state, call).id]
    return answers.empty()


def watch_generation(state: State, call: FakeCall) -> httpx.Response:
    """All events to the end, after the one that was seen last."""
    job = _job(state, call)
    job.advance(wholly=True)
    events = list(job.events(state.url, str(state.links)))
    seen = call.request.headers.get("Last-Event-ID")
    after = next((at for at, event in enumerate(events, 1) if event.id == seen), 0) if seen else 0
    if after == len(events):
        return answers.empty()
    stream = "".join(map(_sse, events[after:]))
    return answers.content(stream.encode(), "text/event-stream")


def list_deliveries(state: State, call: FakeCall) -> httpx.Response:
    """What its webhook was told."""
    return answers.json(DeliveryList(data=_job(state, call).deliveries()))


def redeliver(state: State, call: FakeCall) -> httpx.Response:
    """One of them, as if it had been sent again."""
    wanted = call.path["delivery_id"]
    return answers.json(_delivery(_job(state, call).deliveries(), wanted), 202)


def _delivery(known: list[Delivery], wanted: str) -> Delivery:
    for delivery in known:
        if delivery.id == wanted:
            return delivery
    raise DeliveryNotFound


def _job(state: State, call: FakeCall) -> FakeJob:
    return state.job(call.path["job_id"])


def _sse(event: Event) -> str:
    head = f"event: {event.type}\n" + (f"id: {event.id}\n" if event.id else "")
    return f"{head}data: {event.model_dump_json(exclude_none=True)}\n\n"
