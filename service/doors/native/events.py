"""`/v1/generations/{id}/events`: a job's events as server-sent events."""

from collections.abc import AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Header, HTTPException
from fastapi.sse import EventSourceResponse, ServerSentEvent

from latentry.contracts import Event
from latentry.errors import Unavailable
from latentry.ledger import JobRef, JobUpdate, LedgerEvent, commands, event_order
from service.access.auth import MayRead
from service.doors.answers import Responses
from service.doors.native.examples import EVENTS
from service.doors.native.tags import Tag
from service.gateway import Gateway, GatewayDep
from service.jobs.ids import ref_of

router = APIRouter(prefix="/v1/generations", tags=[Tag.JOBS])

log = structlog.get_logger()

_ANSWERS: Final[Responses] = {
    200: {"content": {"text/event-stream": {"example": EVENTS}}},
    204: {"description": "The job has ended, and there are no events after `Last-Event-ID`."},
}


@dataclass(frozen=True, slots=True)
class Position:
    """A client's position in a job's events; empty `after` is the beginning."""

    ref: JobRef
    after: str


async def _position(
    gateway: GatewayDep,
    caller: MayRead,
    job_id: str,
    last_event_id: Annotated[
        str | None, Header(description="Resume after this event; an unknown id starts over.")
    ] = None,
) -> Position:
    # A dependency, because the status is sent before the generator below begins.
    ref = ref_of(caller.tenant, job_id)
    record = await gateway.record(ref)
    events = await gateway.ledger.run(commands.list_events(ref))
    last = events[-1].id if events else ""
    seen = last_event_id or ""
    after = seen if event_order(seen) <= event_order(last) else ""
    if record.state.is_terminal and event_order(after) == event_order(last):
        raise HTTPException(204)  # browsers reconnect to an empty stream, but not after a 204
    return Position(ref, after)


@router.get("/{job_id}/events", response_class=EventSourceResponse, responses=_ANSWERS)
async def watch_generation(
    gateway: GatewayDep, position: Annotated[Position, Depends(_position)]
) -> AsyncIterable[ServerSentEvent]:
    """Stream a job's events: `queued`, `running`, `step`, `preview`, `output`, `image`, then its
    end.

    Durable events have an `id`, from which `Last-Event-ID` resumes; `step` and `preview` have none
    and are not repeated.
    """
    ref = position.ref
    async with aclosing(gateway.event_hub.follow(ref, after=position.after)) as updates:
        async for update in updates:
            try:
                event = await _event(gateway, update)
            except Unavailable as error:
                # Too late for a status. The client reconnects and resumes after its last event.
                log.warning("event_stream.interrupted", job=ref.id, code=error.code)
                return
            yield ServerSentEvent(
                event=event.type, id=event.id, raw_data=event.model_dump_json(exclude_none=True)
            )


async def _event(gateway: Gateway, update: JobUpdate) -> Event:
    is_end = isinstance(update, LedgerEvent) and update.type.is_terminal
    record = await gateway.ledger.run(commands.get(update.ref)) if is_end else None
    return await gateway.views.event(update, record)
