"""Submits requests as jobs, whichever door they come through."""

import asyncio
import hashlib
from dataclasses import replace
from typing import TypedDict

import structlog

from latentry.contracts import (
    Estimate,
    ResolvedPicture,
    Webhook,
)
from latentry.errors import (
    InvalidRequest,
    LatentryError,
    LedgerUnavailable,
    PromptRefused,
    UrlNotAllowed,
)
from latentry.ledger import Accepted, JobRef, NewJob, commands
from latentry.ledger.jobs import WaitEstimate
from latentry.settings import Settings
from service.access.auth import Caller
from service.doors import idempotency
from service.doors.admitting import admitted_to, with_files
from service.gateway import Gateway
from service.http.bodies import LARGE_BYTES
from service.jobs.admission import Admitted
from service.jobs.ids import new_ref
from service.jobs.inputs import Brought, Request, named, without_pictures
from service.jobs.moderation import Moderated
from service.jobs.provenance.floor import refuse_less
from service.jobs.views import time_of

log = structlog.get_logger()


async def submit(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    idempotency_key: str | None = None,
    ref: JobRef | None = None,
    *,
    is_low: bool = False,
    notify_as: str = "",
) -> Accepted:
    """Create a job, or find the one that was created under this idempotency key.

    Pictures that it brings become files of the tenant's; if no job comes of it, they are deleted.
    `ref`: the new job's, if the caller has made it already. `is_low`: it asks for less moderation.
    `notify_as`: see NewJob. Raises InvalidRequest, UnknownModel, Unavailable or Exhausted.
    """
    idempotency.check(idempotency_key)
    try:
        found, admitted, job = await _admitted(gateway, caller, request, ref, is_low=is_low)
    except LatentryError as refused:  # what it needs may be gone since its job was created
        if known := await _repeated(gateway, caller, request, idempotency_key, refused):
            return Accepted(known, is_new=False)
        raise
    job = await _under_key(replace(job, notify_as=notify_as), request, idempotency_key)
    if all(file.file for file in found.files.values()):
        return await _create(gateway, caller, job, admitted)
    # What can refuse the request or find its job comes before its pictures are fetched and decoded.
    if known := await gateway.ledger.run(commands.find_or_check(job, **_limits(gateway.settings))):
        return Accepted(known, is_new=False)
    brought = await gateway.inputs.bring(caller.tenant, request, found)
    try:
        whole = with_files(admitted, brought.files, gateway.settings)
        job = replace(job, request=whole.request, price=whole.price)
        accepted = await _create(gateway, caller, job, whole)
    except BaseException:  # a client that leaves keeps no files either
        await gateway.inputs.discard(brought)
        raise
    if not accepted.is_new:  # another call with this key came first
        await gateway.inputs.discard(brought)
    return accepted


async def estimate(gateway: Gateway, caller: Caller, request: Request) -> Estimate:
    """The cost and the wait that `submit` would have now. Creates nothing; raises the same.

    What is made of a picture alone costs what its size is, so that is brought for it, and not kept.
    """
    found = await _found(gateway, caller, request)
    moderated = await gateway.moderation.moderate(
        caller, await admitted_to(gateway, request, found)
    )
    admitted = moderated.admitted
    possible = await _possible(gateway, caller, request, moderated)
    if isinstance(admitted.request, ResolvedPicture) and not found.files["image"].file:
        brought = await gateway.inputs.bring(caller.tenant, request, found)
        try:
            admitted = with_files(admitted, brought.files, gateway.settings)
            moderated = replace(moderated, admitted=admitted)
            possible = await _possible(gateway, caller, request, moderated)
        finally:
            await gateway.inputs.discard(brought)
    wait_ms = possible.wait_ms
    return Estimate(
        cost=admitted.price.cost,
        estimated_wait_s=None if wait_ms is None else wait_ms / 1000,
        estimated_start_at=None if wait_ms is None else time_of(possible.now_ms + wait_ms),
    )


async def _admitted(
    gateway: Gateway, caller: Caller, request: Request, ref: JobRef | None, *, is_low: bool
) -> tuple[Brought, Admitted, NewJob]:
    """What it brings, what becomes of it, and its job. Raises what may refuse it so far."""
    found = await _found(gateway, caller, request)
    admitted = await admitted_to(gateway, request, found)
    moderated = await gateway.moderation.moderate(caller, admitted, is_low=is_low)
    job = _new_job(gateway, caller, request, moderated, ref)
    return found, moderated.admitted, job


async def _found(gateway: Gateway, caller: Caller, request: Request) -> Brought:
    """What can be known of its pictures, once its files will say enough."""
    if request.provenance is not None:
        refuse_less(request.provenance, gateway.settings.least_provenance, caller.provenance)
    return await gateway.inputs.find(caller.tenant, request)


async def _possible(
    gateway: Gateway, caller: Caller, request: Request, moderated: Moderated
) -> WaitEstimate:
    job = _new_job(gateway, caller, request, moderated)
    return await gateway.ledger.run(commands.estimate(job, **_limits(gateway.settings)))


async def _create(gateway: Gateway, caller: Caller, job: NewJob, admitted: Admitted) -> Accepted:
    accepted = await gateway.ledger.run(commands.create(job, **_limits(gateway.settings)))
    if accepted.is_new:
        if admitted.entry.workers:  # a worker that starts later looks into the queue by itself
            gateway.bell.ring_soon(admitted.entry.card.queue)
        gateway.metrics.job_accepted(admitted.request)
        gateway.moderation.count(caller, job.applied, accepted.ref.id)
        _log_accepted(accepted.ref, caller, admitted)
    return accepted


def _new_job(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    moderated: Moderated,
    ref: JobRef | None = None,
) -> NewJob:
    admitted = moderated.admitted
    return NewJob(
        ref=ref or new_ref(caller.tenant),
        request=admitted.request,
        queue_ttl_ms=gateway.settings.queue_ttl_s * 1000,
        ttl_ms=_keep_s(gateway.settings, request) * 1000,
        account=caller.account,
        price=admitted.price,
        weight=caller.weight,
        user=request.user or "",
        priority=request.priority,
        start_within_ms=(request.start_within or 0) * 1000,
        finish_within_ms=(request.finish_within or 0) * 1000,
        webhook=request.webhook,
        receiver=_receiver(gateway, caller, request.webhook),
        warnings=moderated.warnings,
        image_rules=moderated.image_rules,
        applied=moderated.applied,
    )


async def _repeated(
    gateway: Gateway, caller: Caller, request: Request, key: str | None, refused: LatentryError
) -> JobRef | None:
    """The job that a repeat of a refused request has already. Raises IdempotencyConflict.

    What a rule refuses is refused, and counted, whatever was accepted before it was made.
    """
    if key is None or isinstance(refused, LedgerUnavailable | PromptRefused):
        return None
    return await idempotency.find(gateway, caller.tenant, key, await _body_hash(request))


async def _under_key(job: NewJob, request: Request, key: str | None) -> NewJob:
    """The job as it is found by its idempotency key; a hash is of use with one only."""
    if not key:
        return job
    return replace(job, idempotency_key=key, body_hash=await _body_hash(request))


async def _body_hash(request: Request) -> str:
    """Of the request as it was sent: a seed that we drew must not make two of them differ."""
    digest = hashlib.sha256(without_pictures(request).model_dump_json().encode())
    for name, reference in named(request).items():
        digest.update(f"{name}:{len(reference)}:".encode())
        if len(reference) > LARGE_BYTES:
            await asyncio.to_thread(digest.update, reference.encode())
        else:
            digest.update(reference.encode())
    return digest.hexdigest()


def _receiver(gateway: Gateway, caller: Caller, webhook: Webhook | None) -> str:
    if webhook is None:
        return ""
    try:
        target = gateway.outbound.read(webhook.url)
    except UrlNotAllowed as error:
        raise UrlNotAllowed(error.message, fields={"/webhook/url": error.message}) from None
    return f"{caller.tenant}@{target.host}:{target.port}"


def _keep_s(settings: Settings, request: Request) -> int:
    wanted, most = request.keep_for or settings.result_ttl_s, settings.longest_kept_s
    if wanted > most:
        why = f"Must be at most {most}."
        raise InvalidRequest(why, fields={"/keep_for": why})
    return wanted


class _Limits(TypedDict):
    max_queued: int
    max_wait_s: float


def _limits(settings: Settings) -> _Limits:
    return {"max_queued": settings.max_queued, "max_wait_s": settings.max_queue_wait_s}


def _log_accepted(ref: JobRef, caller: Caller, admitted: Admitted) -> None:
    request = admitted.request
    width, height = request.final_size
    log.info(
        "job.accepted",
        job=ref.id,
        kind=request.kind,
        tenant=caller.tenant,
        key=caller.key_id,
        model=request.model,
        images=request.pictures,
        steps=request.total_steps,
        width=width,
        height=height,
        cost_ms=admitted.price.cost_ms,
    )
