"""Takes an order, from whichever door: admit it, enter the job, ring the bell."""

import hashlib
import re
import secrets
from typing import Final

import structlog

from latentry.contracts import GenerationRequest
from latentry.costs import price
from latentry.errors import InvalidIdempotencyKey, JobNotFound
from latentry.jobs import JobRef, NewJob, commands
from service import admission
from service.auth import Caller
from service.gateway import Gateway

log = structlog.get_logger()

_JOB_ID: Final = re.compile(r"gen_[0-9a-f]{32}")
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")


async def place(
    gateway: Gateway, caller: Caller, request: GenerationRequest, key: str | None = None
) -> JobRef:
    """Enter a job and answer its name; under a known idempotency key, the name of the first one.

    Raises whatever forbids it: InvalidRequest, UnknownModel, Unavailable.
    """
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidIdempotencyKey
    asked = request.model or gateway.settings.default_model
    entry = admission.choose(asked, await gateway.catalogue.entries(knowing=asked))
    card = entry.card
    resolved = admission.resolve(request, card)
    job = NewJob(
        ref=JobRef(caller.tenant, f"gen_{secrets.token_hex(16)}"),
        request=resolved,
        queue_ttl_ms=gateway.settings.queue_ttl_s * 1000,
        ttl_ms=gateway.settings.result_ttl_s * 1000,
        idempotency_key=key or "",
        # Of what was asked, before blanks were filled: a drawn seed is not the caller's word.
        body_hash=hashlib.sha256(request.model_dump_json().encode()).hexdigest(),
        account=caller.account,
        price=price(resolved, card),
        weight=caller.weight,
        priority=request.priority,
        start_within_ms=(request.start_within or 0) * 1000,
        finish_within_ms=(request.finish_within or 0) * 1000,
    )
    accepted = await gateway.ledger.run(
        commands.create(job, max_queued=gateway.settings.max_queued)
    )
    if accepted.is_new:
        if entry.workers:  # one that starts later looks by itself
            gateway.bell.ring_soon(card.id)
        gateway.metrics.accepted(job.request)
        log.info(
            "job.accepted",
            job=accepted.ref.id,
            model=card.id,
            images=job.request.n,
            steps=job.request.num_inference_steps,
            width=job.request.width,
            height=job.request.height,
        )
    return accepted.ref


def ref_of(caller: Caller, job_id: str) -> JobRef:
    """The full name of this caller's job. Raises JobNotFound for an id that we cannot have made."""
    if not _JOB_ID.fullmatch(job_id):
        raise JobNotFound
    return JobRef(caller.tenant, job_id)
