"""`POST /v1/generations:batch`: many requests in one body, each accepted or refused by itself."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.responses import Response

from latentry.contracts import Batch, BatchItem, BatchResult, GenerationRequest
from latentry.errors import LatentryError, RateLimited
from latentry.ledger import keyring
from latentry.ledger.accounts import NO_KEY
from service.access.auth import Caller, MayWrite, rate_limit_headers
from service.doors.answers import body_schema, json_response
from service.doors.idempotency import IdempotencyKey, find_new, own_keys
from service.doors.native.tags import Tag
from service.doors.submit import estimate, submit
from service.gateway import Gateway, GatewayDep
from service.http import bodies
from service.http.accept import ACCEPTS_JSON
from service.http.direct import DirectRoute
from service.http.failures import failure
from service.http.problems import problem

PATH: Final = "/v1/generations:batch"
MAX_BYTES: Final = 2**20
_EXAMPLE: Final = {"requests": [{"prompt": "a red circle"}, {"prompt": "a green frog", "n": 4}]}

router = APIRouter(
    tags=[Tag.IMAGES],
    dependencies=[ACCEPTS_JSON],
    route_class=DirectRoute,
)


@router.post(PATH, response_model=BatchResult, openapi_extra=body_schema(Batch, _EXAMPLE))
async def create_generations(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create up to 64 jobs. Each is accepted or refused by itself, as its item says.

    Each counts as a request of the key's rate; those for which none is left are refused. With an
    `Idempotency-Key` each has a key of its own: the header's, a colon and its index. Those whose
    jobs exist already do not count.
    """
    body = await bodies.parse(request, Batch, most=MAX_BYTES)
    keys = own_keys(idempotency_key, len(body.requests))
    keys = [
        None if each.get("dry_run") else key for key, each in zip(keys, body.requests, strict=True)
    ]
    late = await _late(gateway, caller, request, keys)
    request_id = request.state.request_id

    async def one(index: int, fields: dict[str, Any]) -> BatchItem:
        try:
            if index in late:
                raise late[index]
            return await _item(gateway, caller, index, fields, keys[index])
        except LatentryError as error:
            return _refused(index, error, request_id)

    items = await asyncio.gather(*(one(i, each) for i, each in enumerate(body.requests)))
    return json_response(BatchResult(data=items))


async def _late(
    gateway: Gateway, caller: Caller, request: Request, keys: Sequence[str | None]
) -> dict[int, RateLimited]:
    """What refuses those for which the key's rate has no request left, by index."""
    if caller.key_id == NO_KEY or len(keys) == 1:
        return {}
    new = await find_new(gateway, caller.tenant, keys)
    if len(new) <= 1:  # the call itself was counted
        return {}
    taken = await gateway.ledger.run(keyring.take_more(caller.key_id, len(new) - 1))
    request.state.headers = rate_limit_headers(caller.allowance, taken.left, taken.full_ms)
    late = RateLimited(retry_after_s=-(-taken.wait_ms // 1000))
    return dict.fromkeys(new[1 + taken.count :], late)


async def _item(
    gateway: Gateway, caller: Caller, index: int, fields: dict[str, Any], key: str | None
) -> BatchItem:
    try:
        wanted = GenerationRequest.model_validate_json(to_json(fields))
    except ValidationError as error:
        raise bodies.invalid(error, GenerationRequest) from None
    if wanted.dry_run:
        return BatchItem(index=index, status=200, estimate=await estimate(gateway, caller, wanted))
    accepted = await submit(gateway, caller, wanted, key)
    record = accepted.record or await gateway.record(accepted.ref)
    job = await gateway.views.job(record)
    return BatchItem(index=index, status=200 if job.done else 202, job=job)


def _refused(index: int, error: LatentryError, request_id: str) -> BatchItem:
    what = failure(error)
    after = what.headers.get("Retry-After")
    return BatchItem(
        index=index,
        status=what.status,
        problem=problem(what, request_id=request_id),
        retry_after_s=None if after is None else int(after),
    )
