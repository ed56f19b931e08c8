"""`/v1/generations`: create, list, read, cancel and delete jobs."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from latentry.contracts import Estimate, GenerationRequest, Job, JobList, JobStatus
from latentry.errors import JobNotFound, StorageUnavailable
from latentry.ledger import Accepted, commands
from latentry.storage import prefix_of
from service.access.auth import Caller, MayRead, MayWrite
from service.doors.answers import PROBLEMS, Responses, body_schema, json_response
from service.doors.native import cursors
from service.doors.submit import estimate, submit
from service.doors.wait import created_and_ended, until_ended
from service.gateway import Gateway, GatewayDep
from service.http import bodies, prefer
from service.http.accept import ACCEPTS_JSON
from service.http.body_room import release_body
from service.http.direct import DirectRoute
from service.jobs.ids import new_ref, ref_of
from service.jobs.inputs import JobRequest

PATH: Final = "/v1/generations"

router = APIRouter(
    prefix=PATH,
    tags=["generations"],
    responses=PROBLEMS,
    dependencies=[ACCEPTS_JSON],
    route_class=DirectRoute,
)

DONE: Final[Responses] = {
    200: {"model": Job | Estimate, "description": "Job finished, or the `dry_run` estimate."}
}
Wait = Annotated[
    int,
    Query(ge=0, description="Seconds to wait for the job's end; LATENTRY_MAX_WAIT_S at most."),
]
Limit = Annotated[int, Query(ge=1, le=100, description="Jobs per page.")]
Cursor = Annotated[
    str | None, Query(description="`next_cursor` of the previous page; omit for the first.")
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="1 to 255 printable ASCII characters. The same key with the same body returns"
        " the same job.",
        # Documented here; `submit` checks it, with an error code of its own.
        json_schema_extra={"pattern": r"^[\x20-\x7e]{1,255}$"},
    ),
]
Prefer = Annotated[
    list[str] | None,
    Header(
        alias="Prefer",
        description="`wait=N`: respond when the job has ended, after N seconds at the latest"
        " (RFC 7240).",
    ),
]


@router.post(
    "",
    status_code=202,
    response_model=Job,
    response_description="Job accepted.",
    responses=DONE,
    openapi_extra=body_schema(GenerationRequest),
)
async def create_generation(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
    preferences: Prefer = None,
) -> Response:
    """Create a job. Returns 202 at once, or with `Prefer: wait=N` 200 if the job ends in time.

    An accepted job has a `cost` and an `estimated_start_at`. A job that could not meet its
    `start_within` or `finish_within`, or would wait longer than the service allows, is refused with
    503 `deadline_unreachable` and a `Retry-After` header. `dry_run: true` returns the cost and the
    estimated start and creates no job.
    """
    parsed = bodies.parse(request, GenerationRequest)
    return await created(gateway, caller, request, parsed, idempotency_key, preferences)


async def created(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    parsed: Awaitable[JobRequest],
    idempotency_key: str | None,
    preferences: list[str] | None,
) -> Response:
    """The response to a request for a job of whatever kind, whose body is parsed here."""
    wait_s = prefer.wait_s(preferences or (), max_s=gateway.settings.max_wait_s)
    body = await parsed
    del parsed
    if body.dry_run:
        return json_response(await estimate(gateway, caller, body))
    applied = {} if wait_s is None else {"Preference-Applied": f"wait={wait_s}"}
    ref = new_ref(caller.tenant)
    submitted = _submitted(request, submit(gateway, caller, body, idempotency_key, ref))
    del body  # its pictures are not kept while the client waits
    if wait_s:
        record = await created_and_ended(gateway, ref, submitted, within_s=wait_s)
    else:
        accepted = await submitted
        record = accepted.record or await gateway.record(accepted.ref)
    job = await gateway.views.job(record)
    status = 200 if job.status.is_terminal else 202
    return json_response(job, status, {"Location": job.urls.self} | applied)


async def _submitted(request: Request, submission: Awaitable[Accepted]) -> Accepted:
    accepted = await submission
    del submission
    release_body(request)
    return accepted


@router.get("", response_model=JobList)
async def list_generations(
    gateway: GatewayDep, caller: MayRead, limit: Limit = 20, cursor: Cursor = None
) -> Response:
    """List the tenant's jobs, newest first."""
    page = commands.list_jobs(caller.tenant, below=cursors.parse(cursor), limit=limit + 1)
    found = await gateway.ledger.run(page)
    records = [record for record in found[:limit] if record]
    more = cursors.cursor(records[-1].sequence) if records and len(found) > limit else None
    return json_response(JobList(data=await gateway.views.jobs(records), next_cursor=more))


@router.get("/{job_id}", response_model=Job)
async def get_generation(
    gateway: GatewayDep, caller: MayRead, job_id: str, wait: Wait = 0
) -> Response:
    """Get one job; with `wait`, as soon as it has ended."""
    ref = ref_of(caller.tenant, job_id)
    record = await gateway.record(ref)
    if wait and not record.state.is_terminal:
        record = await until_ended(gateway, ref, within_s=min(wait, gateway.settings.max_wait_s))
    return json_response(await gateway.views.job(record))


@router.post("/{job_id}/cancel", response_model=Job)
async def cancel_generation(gateway: GatewayDep, caller: MayWrite, job_id: str) -> Response:
    """Cancel a job: immediately if queued, at its next step if running. Idempotent."""
    ref = ref_of(caller.tenant, job_id)
    if not await gateway.ledger.run(commands.cancel(ref)):
        raise JobNotFound
    return json_response(await gateway.views.job(await gateway.record(ref)))


@router.delete("/{job_id}", status_code=204)
async def delete_generation(gateway: GatewayDep, caller: MayWrite, job_id: str) -> Response:
    """Delete a job and its pictures. A running job is canceled first."""
    ref = ref_of(caller.tenant, job_id)
    prefix = prefix_of(ref.tenant, ref.id)
    was_running = (await gateway.record(ref)).state is JobStatus.RUNNING
    # Pictures first: if that fails, the job still exists and the caller can retry.
    await asyncio.to_thread(gateway.storage.delete_prefix, prefix)
    await gateway.ledger.run(commands.forget(ref, silently=True))
    if was_running:
        # Pictures that were stored in between. Of later ones the worker learns that its lease is
        # lost, and removes them itself.
        with suppress(StorageUnavailable):  # retention removes what is left
            await asyncio.to_thread(gateway.storage.delete_prefix, prefix)
    return Response(status_code=204)
