"""Jobs of any kind come from one kind of call: its headers, what it answers, and when."""

from collections.abc import Awaitable
from typing import Annotated, Any, Final

from fastapi import Header, Request
from starlette.responses import Response

from latentry.contracts import Estimate, Job
from latentry.ledger import Accepted
from service.access.auth import Caller
from service.doors.answers import Responses, json_response
from service.doors.native.examples import QUEUED
from service.doors.submit import estimate, submit
from service.doors.wait import created_and_ended
from service.gateway import Gateway
from service.http import bodies, prefer
from service.http.body_room import release_body
from service.jobs import inputs
from service.jobs.ids import new_ref

_RESPONSES: Final[Responses] = {
    200: {"model": Job | Estimate, "description": "Job finished, or the `dry_run` estimate."},
    202: {"content": {"application/json": {"example": QUEUED}}},
}
# Of every route that creates a job.
ACCEPTED: Final[dict[str, Any]] = {
    "status_code": 202,
    "response_model": Job,
    "response_description": "Job accepted.",
    "responses": _RESPONSES,
}
Prefer = Annotated[
    list[str] | None,
    Header(
        alias="Prefer",
        description="`wait=N`: respond when the job has ended, after N seconds at the latest"
        " (RFC 7240).",
    ),
]


async def create(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    model: type[inputs.Request],
    idempotency_key: str | None,
    preferences: list[str] | None,
) -> Response:
    """Create a job of the request that the body is, or with `dry_run` only estimate it.

    `model`: which kind of request. Raises what reading it and `submit` do.
    """
    wait_s = prefer.wait_s(preferences or (), max_s=gateway.settings.max_wait_s)
    body = await bodies.parse(request, model)
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
