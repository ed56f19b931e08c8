"""`urls.stream` of a prediction: its images and progress as Replicate's server-sent events.

Replicate's npm client sends no API key here, so that the URL is signed.
"""

import json
from collections.abc import AsyncIterable
from contextlib import aclosing
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from latentry.contracts import EventType, JobStatus, StoredOutput
from latentry.errors import LatentryError
from latentry.ledger import JobRecord, JobRef, JobUpdate, LedgerEvent, StepUpdate
from service.doors.answers import Responses
from service.doors.replicate.answers import data_url, has_data_urls
from service.doors.replicate.examples import EVENTS, TAG
from service.doors.replicate.views import PREFIX, progress_line, stream_key
from service.gateway import Gateway, GatewayDep
from service.jobs.ids import ref_of

log = structlog.get_logger()

router = APIRouter(tags=[TAG])

_EVENTS: Final[Responses] = {200: {"content": {"text/event-stream": {"example": EVENTS}}}}
_FIRST: Final = "0"  # their Python client leaves out events without an id


async def _ref(
    gateway: GatewayDep,
    tenant: str,
    prediction_id: str,
    exp: Annotated[str, Query(description="Expiry in Unix seconds.")] = "",
    sig: Annotated[str, Query(description="Signature.")] = "",
) -> JobRef:
    # A dependency, because the status is sent before the generator below begins.
    gateway.links.check(stream_key(tenant, prediction_id), exp, sig)
    ref = ref_of(tenant, prediction_id)
    await gateway.record(ref)
    return ref


@router.get(
    PREFIX + "/v1/streams/{tenant}/{prediction_id}",
    response_class=EventSourceResponse,
    responses=_EVENTS,
)
async def stream_prediction(
    gateway: GatewayDep, ref: Annotated[JobRef, Depends(_ref)]
) -> AsyncIterable[ServerSentEvent]:
    """Stream a prediction's events: `logs` with its progress, `output` for each image, `done`.

    One that failed ends with `error`.
    """
    last = _FIRST
    async with aclosing(gateway.event_hub.follow(ref)) as updates:
        async for update in updates:
            last = update.id if isinstance(update, LedgerEvent) else last
            try:
                event = await _event(gateway, update)
            except LatentryError as error:  # too late for a status
                log.warning("replicate_stream.failed", job=ref.id, code=error.code)
                yield _said("error", {"detail": error.message}, last)
                return
            if event is not None:
                yield ServerSentEvent(event=event[0], raw_data=event[1], id=last)


async def _event(gateway: Gateway, update: JobUpdate) -> tuple[str, str] | None:
    if isinstance(update, StepUpdate):
        return "logs", progress_line(update.progress.step, update.progress.steps)
    if not isinstance(update, LedgerEvent):
        return None
    if update.type is EventType.IMAGE:
        return "output", await _url(gateway, StoredOutput.model_validate(update.data))
    if not update.type.is_terminal:
        return None
    return _end(await gateway.record(update.ref))


async def _url(gateway: Gateway, image: StoredOutput) -> str:
    if has_data_urls(gateway):
        return await data_url(gateway.storage, image)
    return gateway.links.file(image.key)


def _end(record: JobRecord) -> tuple[str, str]:
    if record.state is JobStatus.SUCCEEDED:
        return "done", "{}"
    if record.state is JobStatus.CANCELED:
        return "done", json.dumps({"reason": "canceled"})
    message = record.error.message if record.error else f"The prediction was {record.state}."
    return "error", json.dumps({"detail": message})


def _said(event: str, data: dict[str, str], id: str) -> ServerSentEvent:
    return ServerSentEvent(event=event, raw_data=json.dumps(data), id=id)
