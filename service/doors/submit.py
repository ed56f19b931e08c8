"""Takes an order, from whichever door: admit it, enter the job, ring the bell."""

import hashlib
import re
import secrets
from typing import Final, TypedDict

import structlog

from latentry.contracts import Estimate, GenerationRequest, ModelCard, Webhook
from latentry.errors import InvalidIdempotencyKey, JobNotFound, UrlNotAllowed
from latentry.ledger import JobRef, NewJob, commands
from latentry.rules.pricing import price
from latentry.settings import Settings
from service.access.auth import Caller
from service.gateway import Gateway
from service.jobs import admission
from service.jobs.catalogue import Entry
from service.jobs.views import time_of

log = structlog.get_logger()

_JOB_ID: Final = re.compile(r"gen_[0-9a-f]{32}")
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")


async def place(
    gateway: Gateway, caller: Caller, request: GenerationRequest, key: str | None = None
) -> JobRef:
    """Enter a job and answer its name; under a known idempotency key, the name of the first one.

    Raises whatever forbids it: InvalidRequest, UnknownModel, Unavailable, Exhausted.
    """
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidIdempotencyKey
    entry = await _entry(gateway, request)
    job = _job(gateway, caller, request, entry.card, key or "")
    accepted = await gateway.ledger.run(commands.create(job, **_bounds(gateway.settings)))
    if accepted.is_new:
        if entry.workers:  # one that starts later looks by itself
            gateway.bell.ring_soon(entry.card.id)
        gateway.metrics.accepted(job.request)
        log.info(
            "job.accepted",
            job=accepted.ref.id,
            tenant=caller.tenant,
            key=caller.key_id,
            model=entry.card.id,
            images=job.request.n,
            steps=job.request.num_inference_steps,
            width=job.request.width,
            height=job.request.height,
            cost_ms=job.price.cost_ms,
        )
    return accepted.ref


async def try_out(gateway: Gateway, caller: Caller, request: GenerationRequest) -> Estimate:
    """What `place` would do now: its cost and wait. Enters nothing; raises what `place` would."""
    entry = await _entry(gateway, request)
    job = _job(gateway, caller, request, entry.card)
    possible = await gateway.ledger.run(commands.estimate(job, **_bounds(gateway.settings)))
    wait_ms = possible.wait_ms
    return Estimate(
        cost=job.price.cost,
        estimated_wait_s=None if wait_ms is None else wait_ms / 1000,
        estimated_start_at=None if wait_ms is None else time_of(possible.now_ms + wait_ms),
    )


def ref_of(caller: Caller, job_id: str) -> JobRef:
    """The full name of this caller's job. Raises JobNotFound for an id that we cannot have made."""
    if not _JOB_ID.fullmatch(job_id):
        raise JobNotFound
    return JobRef(caller.tenant, job_id)


async def _entry(gateway: Gateway, request: GenerationRequest) -> Entry:
    asked = request.model or gateway.settings.default_model
    return admission.choose(asked, await gateway.catalogue.entries(knowing=asked))


def _job(
    gateway: Gateway, caller: Caller, request: GenerationRequest, card: ModelCard, key: str = ""
) -> NewJob:
    resolved = admission.resolve(request, card)
    cost = price(resolved, card)
    admission.refuse_expensive(cost.cost, gateway.settings.max_cost_step_megapixels)
    return NewJob(
        ref=JobRef(caller.tenant, f"gen_{secrets.token_hex(16)}"),
        request=resolved,
        queue_ttl_ms=gateway.settings.queue_ttl_s * 1000,
        ttl_ms=gateway.settings.result_ttl_s * 1000,
        idempotency_key=key,
        # Of what was asked, before blanks were filled: a drawn seed is not the caller's word.
        body_hash=hashlib.sha256(request.model_dump_json().encode()).hexdigest(),
        account=caller.account,
        price=cost,
        weight=caller.weight,
        priority=request.priority,
        start_within_ms=(request.start_within or 0) * 1000,
        finish_within_ms=(request.finish_within or 0) * 1000,
        webhook=request.webhook,
        receiver=_receiver(gateway, caller, request.webhook),
    )


def _receiver(gateway: Gateway, caller: Caller, webhook: Webhook | None) -> str:
    if webhook is None:
        return ""
    try:
        target = gateway.outbound.read(webhook.url)
    except UrlNotAllowed as error:
        raise UrlNotAllowed(error.message, fields={"/webhook/url": error.message}) from None
    return f"{caller.tenant}@{target.host}:{target.port}"


class _Bounds(TypedDict):
    max_queued: int
    max_wait_s: float


def _bounds(settings: Settings) -> _Bounds:
    return {"max_queued": settings.max_queued, "max_wait_s": settings.max_queue_wait_s}
