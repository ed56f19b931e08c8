"""`/v1/generations/{id}/deliveries`: a job's webhook deliveries, and sending one again."""

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.responses import Response

from latentry.contracts import Attempt, Delivery, DeliveryList
from latentry.errors import DeliveryNotFound
from latentry.ledger import JobRef, deliveries
from latentry.ledger.deliveries import AttemptRecord, DeliveryRecord
from service.access.auth import MayRead, MayWrite
from service.doors.answers import json_response
from service.doors.native.tags import Tag
from service.gateway import Gateway, GatewayDep
from service.http.accept import ACCEPTS_JSON
from service.jobs.ids import ref_of

router = APIRouter(
    prefix="/v1/generations/{job_id}/deliveries",
    tags=[Tag.WEBHOOKS],
    dependencies=[ACCEPTS_JSON],
)


@router.get("", response_model=DeliveryList)
async def list_deliveries(gateway: GatewayDep, caller: MayRead, job_id: str) -> Response:
    """List the job's webhook deliveries and their attempts, until the job's record expires."""
    ref = ref_of(caller.tenant, job_id)
    await gateway.record(ref)
    known = await gateway.ledger.run(deliveries.list_deliveries(ref))
    return json_response(DeliveryList(data=[_view(delivery) for delivery in known]))


@router.post("/{delivery_id}/redeliver", status_code=202, response_model=Delivery)
async def redeliver(
    gateway: GatewayDep, caller: MayWrite, job_id: str, delivery_id: str
) -> Response:
    """Send a webhook again under the same `webhook-id`, even to a receiver that responded 410."""
    ref = ref_of(caller.tenant, job_id)
    await gateway.record(ref)
    event = (await _find(gateway, ref, delivery_id)).event
    if not await gateway.ledger.run(deliveries.redeliver(ref, event)):
        raise DeliveryNotFound
    return json_response(_view(await _find(gateway, ref, delivery_id)), 202)


async def _find(gateway: Gateway, ref: JobRef, delivery_id: str) -> DeliveryRecord:
    for delivery in await gateway.ledger.run(deliveries.list_deliveries(ref)):
        if delivery.id == delivery_id:
            return delivery
    raise DeliveryNotFound


def _view(delivery: DeliveryRecord) -> Delivery:
    return Delivery(
        id=delivery.id,
        event=delivery.event,
        status=delivery.state,
        created_at=_time(delivery.made_ms),
        next_attempt_at=_time(delivery.due_ms) if delivery.due_ms else None,
        attempts=[_attempt(attempt) for attempt in delivery.attempts],
    )


def _attempt(attempt: AttemptRecord) -> Attempt:
    return Attempt(
        number=attempt.number,
        at=_time(attempt.at_ms),
        duration_ms=attempt.duration_ms,
        status=attempt.status,
        error=attempt.error,
    )


def _time(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)
