"""A job's story as server-sent events."""

import re
from collections.abc import AsyncIterable
from contextlib import aclosing
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from latentry.contracts import Event
from latentry.errors import Unavailable
from latentry.jobs import JobRef, LedgerEvent, StepNews, commands
from service import orders
from service.auth import Asker
from service.gateway import Gateway, Here
from service.routes.answers import PROBLEMS

router = APIRouter(prefix="/v1/generations", tags=["generations"], responses=PROBLEMS)

log = structlog.get_logger()

_EVENT_ID: Final = re.compile(r"[0-9]{1,18}-[0-9]{1,18}")


async def _known(gateway: Here, caller: Asker, job_id: str) -> JobRef:
    # A dependency, because the answer is 200 already when the generator below begins.
    ref = orders.ref_of(caller, job_id)
    await gateway.record(ref)
    return ref


@router.get("/{job_id}/events", response_class=EventSourceResponse)
async def watch_generation(
    gateway: Here,
    ref: Annotated[JobRef, Depends(_known)],
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterable[ServerSentEvent]:
    """`queued`, `running`, `step` and `image` as they happen; the terminal event ends the stream.

    Durable events have an `id`; with `Last-Event-ID` the stream goes on after that one.
    """
    after = last_event_id or ""
    after = after if _EVENT_ID.fullmatch(after) else ""
    async with aclosing(gateway.newsroom.story(ref, after=after)) as story:
        async for news in story:
            try:
                event = await _event(gateway, news)
            except Unavailable as error:
                # Too late for a status. The client comes back and goes on after what it has seen.
                log.warning("events.interrupted", job=ref.id, code=error.code)
                return
            yield ServerSentEvent(
                event=event.type, id=event.id, raw_data=event.model_dump_json(exclude_none=True)
            )


async def _event(gateway: Gateway, news: LedgerEvent | StepNews) -> Event:
    is_end = isinstance(news, LedgerEvent) and news.type.is_terminal
    record = await gateway.ledger.run(commands.get(news.ref)) if is_end else None
    return await gateway.views.event(news, record)
