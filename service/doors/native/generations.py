"""`/v1/generations`: create, list, read, cancel and delete jobs."""

import asyncio
import time
from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from latentry.contracts import GenerationRequest, Job, JobList, JobStatus
from latentry.errors import StorageUnavailable
from latentry.ledger import UnreadableRecord, commands
from latentry.storage import prefix_of
from service.access.auth import MayRead, MayWrite
from service.doors import etags
from service.doors.answers import Responses, body_schema, json_response
from service.doors.idempotency import IdempotencyKey
from service.doors.native.creating import ACCEPTED, Prefer, create
from service.doors.native.examples import CANCELED
from service.doors.native.pages import cursors
from service.doors.native.pages.query import JobQuery
from service.doors.native.tags import Tag
from service.doors.wait import until_ended
from service.gateway import GatewayDep
from service.http.accept import ACCEPTS_JSON
from service.http.direct import DirectRoute
from service.jobs import search
from service.jobs.ids import ref_of

PATH: Final = "/v1/generations"
_CANCELED: Final[Responses] = {200: {"content": {"application/json": {"example": CANCELED}}}}
_FIRST_PAGE: Final = JobQuery()
_UNCHANGED: Final[Responses] = {
    304: {"description": "The job is as the `ETag` in `If-None-Match` says."}
}

router = APIRouter(
    prefix=PATH,
    dependencies=[ACCEPTS_JSON],
    route_class=DirectRoute,
)

Wait = Annotated[
    int,
    Query(ge=0, description="Seconds to wait for the job's end; LATENTRY_MAX_WAIT_S at most."),
]


@router.post(
    "",
    tags=[Tag.IMAGES],
    **ACCEPTED,
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
    return await create(gateway, caller, request, GenerationRequest, idempotency_key, preferences)


@router.get("", response_model=JobList, tags=[Tag.JOBS])
async def list_generations(
    gateway: GatewayDep, caller: MayRead, query: Annotated[JobQuery, Query()] = _FIRST_PAGE
) -> Response:
    """List the tenant's jobs, newest first; only those that match, if the query says so.

    Where few of many jobs match, a page may have fewer than `limit`; `next_cursor` goes on.
    """
    like, below = query.filter, cursors.parse(query.cursor)
    records, more = await search.page(
        gateway.ledger, caller.tenant, like, below=below, limit=query.limit
    )
    count = await search.count(gateway.ledger, caller.tenant, like) if query.count else None
    page = JobList(
        data=await gateway.views.jobs(records),
        next_cursor=None if more is None else cursors.cursor(more),
        count=count,
    )
    return json_response(page)


@router.get("/{job_id}", response_model=Job, tags=[Tag.JOBS], responses=_UNCHANGED)
async def get_generation(
    gateway: GatewayDep, caller: MayRead, request: Request, job_id: str, wait: Wait = 0
) -> Response:
    """Get one job; with `wait`, as soon as it has ended.

    With `If-None-Match` and the `ETag` of an earlier answer the response is 304 while the job and
    half of the life of that answer's URLs are the same.
    """
    ref = ref_of(caller.tenant, job_id)
    record = await gateway.record(ref)
    if wait and not record.state.is_terminal:
        record = await until_ended(gateway, ref, within_s=min(wait, gateway.settings.max_wait_s))
    tag = etags.etag(record, now_s=time.time(), url_ttl_s=gateway.settings.url_ttl_s)
    if etags.is_known(tag, request.headers):
        return etags.not_modified(tag)
    return json_response(await gateway.views.job(record), headers={"ETag": tag})


@router.post("/{job_id}/cancel", response_model=Job, responses=_CANCELED, tags=[Tag.JOBS])
async def cancel_generation(gateway: GatewayDep, caller: MayWrite, job_id: str) -> Response:
    """Cancel a job: immediately if queued, at its next step if running. Idempotent."""
    ref = ref_of(caller.tenant, job_id)
    if not await gateway.ledger.run(commands.cancel(ref)):
        raise await gateway.absence(ref)
    return json_response(await gateway.views.job(await gateway.record(ref)))


@router.delete("/{job_id}", status_code=204, tags=[Tag.JOBS])
async def delete_generation(gateway: GatewayDep, caller: MayWrite, job_id: str) -> Response:
    """Delete a job and its pictures. A running job is canceled first."""
    ref = ref_of(caller.tenant, job_id)
    prefix = prefix_of(ref.tenant, ref.id)
    try:
        was_running = (await gateway.record(ref)).state is JobStatus.RUNNING
    except UnreadableRecord:  # of a version that writes other records: it can go all the same
        was_running = True
    # Pictures first: if that fails, the job still exists and the caller can retry.
    await asyncio.to_thread(gateway.storage.delete_prefix, prefix)
    await gateway.ledger.run(commands.forget(ref, silently=True))
    if was_running:
        # Pictures that were stored in between. Of later ones the worker learns that its lease is
        # lost, and removes them itself.
        with suppress(StorageUnavailable):  # retention removes what is left
            await asyncio.to_thread(gateway.storage.delete_prefix, prefix)
    return Response(status_code=204)
