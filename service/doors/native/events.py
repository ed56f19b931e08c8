"""A job's events, as server-sent events."""

from collections.abc import AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, Header, HTTPException
from fastapi.sse import EventSourceResponse, ServerSentEvent

from latentry.contracts import Event
from latentry.errors import Unavailable
from latentry.ledger import JobRef, JobUpdate, LedgerEvent, commands, event_order
from service.access.auth import MayRead
from service.doors import submit
from service.doors.answers import PROBLEMS
from service.gateway import Gateway, Here

router = APIRouter(prefix="/v1/generations", tags=["generations"], responses=PROBLEMS)

log = structlog.get_logger()

_OVER: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "The job has ended, and nothing follows `Last-Event-ID`."}
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in whose events a client stands; at its beginning with an id that is not of it."""

    ref: JobRef
    after: str


async def _place(
    gateway: Here,
    caller: MayRead,
    job_id: str,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Place:
    # A dependency, because the answer is 200 already when the generator below begins.
    ref = submit.ref_of(caller, job_id)
    record = await gateway.record(ref)
    known = await gateway.ledger.run(commands.events(ref))
    last = known[-1].id if known else ""
    seen = last_event_id or ""
    after = seen if event_order(seen) <= event_order(last) else ""
    if record.state.is_terminal and event_order(after) == event_order(last):
        raise HTTPException(204)  # at an empty stream, browsers would come back for ever
    return Place(ref, after)


@router.get("/{job_id}/events", response_class=EventSourceResponse, responses=_OVER)
async def watch_generation(
    gateway: Here, place: Annotated[Place, Depends(_place)]
) -> AsyncIterable[ServerSentEvent]:
    """`queued`, `running`, `step`, `preview` and `image` as they happen; then how it ended.

    Durable events have an `id`; with `Last-Event-ID` the stream goes on after that one.
    """
    async with aclosing(gateway.event_hub.follow(place.ref, after=place.after)) as updates:
        async for news in updates:
            try:
                event = await _event(gateway, news)
            except Unavailable as error:
                # Too late for a status. The client comes back and goes on after what it has seen.
                log.warning("events.interrupted", job=place.ref.id, code=error.code)
                return
            yield ServerSentEvent(
                event=event.type, id=event.id, raw_data=event.model_dump_json(exclude_none=True)
            )


async def _event(gateway: Gateway, news: JobUpdate) -> Event:
    is_end = isinstance(news, LedgerEvent) and news.type.is_terminal
    record = await gateway.ledger.run(commands.get(news.ref)) if is_end else None
    return await gateway.views.event(news, record)
