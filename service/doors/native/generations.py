"""The native front door: `/v1/generations`."""

import asyncio
import base64
import binascii
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from latentry.contracts import Estimate, GenerationRequest, Job, JobList, JobStatus
from latentry.errors import InvalidRequest, JobNotFound, StorageUnavailable
from latentry.ledger import commands
from latentry.storage import prefix_of
from service.access.auth import MayRead, MayWrite
from service.doors import submit
from service.doors.answers import PROBLEMS, body_schema, json_response
from service.gateway import Here
from service.http import bodies, prefer
from service.http.accept import AnswersJson

router = APIRouter(
    prefix="/v1/generations",
    tags=["generations"],
    responses=PROBLEMS,
    dependencies=[AnswersJson],
)

_DONE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": Job | Estimate, "description": "It is done; or what it would cost (`dry_run`)."}
}
Wait = Annotated[int, Query(ge=0, description="Hold for the job's end, in seconds.")]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="1 to 255 printable ASCII characters.",
        json_schema_extra={
            "pattern": r"^[\x20-\x7e]{1,255}$"
        },  # described here, checked by GenerationRequest
    ),
]
Prefer = Annotated[
    list[str] | None,
    Header(alias="Prefer", description="`wait=N` holds for up to N seconds (RFC 7240)."),
]


@router.post(
    "",
    status_code=202,
    response_model=Job,
    response_description="It is accepted.",
    responses=_DONE,
    openapi_extra=body_schema(GenerationRequest),
)
async def create_generation(
    gateway: Here,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
    preferences: Prefer = None,
) -> Response:
    """Order pictures. Answers 202 at once, or with `Prefer: wait=N` 200 when they are done.

    The same `Idempotency-Key` with the same body leads to the same job. An accepted order says its
    `cost` and its `estimated_start_at`; one that would start too late for its `start_within` or
    `finish_within`, or for the service, is refused with 503 `deadline_unreachable` and the time to
    stay away in `Retry-After`. `dry_run: true` answers cost and estimate alone.
    """
    wait_s = prefer.wait_s(preferences or (), longest_s=gateway.settings.max_wait_s)
    order = await bodies.parse(request, GenerationRequest)
    if order.dry_run:
        return json_response(await submit.try_out(gateway, caller, order))
    ref = await submit.place(gateway, caller, order, idempotency_key)
    applied = {} if wait_s is None else {"Preference-Applied": f"wait={wait_s}"}
    job = await gateway.views.job(await gateway.after(ref, wait_s or 0))
    status = 200 if job.status.is_terminal else 202
    return json_response(job, status, {"Location": gateway.views.url(ref.id)} | applied)


@router.get("", response_model=JobList)
async def list_generations(
    gateway: Here, caller: MayRead, limit: Limit = 20, cursor: Cursor = None
) -> Response:
    """Jobs, newest first."""
    page = commands.page(caller.tenant, below=_turn(cursor), limit=limit + 1)
    found = await gateway.ledger.run(page)
    records = [record for record in found[:limit] if record]
    more = _cursor(records[-1].sequence) if records and len(found) > limit else None
    return json_response(JobList(data=await gateway.views.jobs(records), next_cursor=more))


@router.get("/{job_id}", response_model=Job)
async def get_generation(gateway: Here, caller: MayRead, job_id: str, wait: Wait = 0) -> Response:
    """One job; with `wait`, as soon as it has ended."""
    ref = submit.ref_of(caller, job_id)
    record = await gateway.record(ref)
    if wait and not record.state.is_terminal:
        record = await gateway.after(ref, min(wait, gateway.settings.max_wait_s))
    return json_response(await gateway.views.job(record))


@router.post("/{job_id}/cancel", response_model=Job)
async def cancel_generation(gateway: Here, caller: MayWrite, job_id: str) -> Response:
    """Stop a job: at once while it waits, at its next step while it runs. Again changes nothing."""
    ref = submit.ref_of(caller, job_id)
    if not await gateway.ledger.run(commands.cancel(ref)):
        raise JobNotFound
    return json_response(await gateway.views.job(await gateway.record(ref)))


@router.delete("/{job_id}", status_code=204)
async def delete_generation(gateway: Here, caller: MayWrite, job_id: str) -> Response:
    """Remove a job and its pictures. A running one is cancelled; nobody waits for its worker."""
    ref = submit.ref_of(caller, job_id)
    prefix = prefix_of(ref.tenant, ref.id)
    was_running = (await gateway.record(ref)).state is JobStatus.RUNNING
    # The pictures first: a caller who is told of a failure here can still ask again.
    await asyncio.to_thread(gateway.storage.delete_prefix, prefix)
    await gateway.ledger.run(commands.forget(ref, silently=True))
    if was_running:
        # Those it stored in between. A later one finds its lease gone, and its worker removes it.
        with suppress(StorageUnavailable):  # then retention finds them
            await asyncio.to_thread(gateway.storage.delete_prefix, prefix)
    return Response(status_code=204)


def _cursor(turn: int) -> str:
    return base64.urlsafe_b64encode(f"turn {turn}".encode()).decode().rstrip("=")


def _turn(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        word, _, turn = base64.b64decode(padded, b"-_", validate=True).partition(b" ")
        if word == b"turn" and turn.isdigit() and len(turn) < 17:
            return int(turn)
    except (ValueError, binascii.Error):
        pass  # said below
    raise InvalidRequest("This is not a cursor of ours.", fields={"cursor": "Not a cursor."})
