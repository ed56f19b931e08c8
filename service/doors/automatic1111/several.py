"""Jobs that one request makes of several pictures, and their ends."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from latentry.contracts import JobStatus
from latentry.errors import RateLimited
from latentry.ledger import Accepted, JobRecord, commands, keyring
from latentry.ledger.accounts import NO_KEY
from service.access.auth import Caller, rate_limit_headers
from service.doors.automatic1111.instance import Instance
from service.doors.automatic1111.translation.refusals import refuse
from service.doors.ends import failed
from service.doors.idempotency import find_new, own_keys
from service.doors.naming import named_as_sent
from service.doors.wait import created_and_ended_or_canceled
from service.gateway import Gateway
from service.http import bodies
from service.http.body_room import release_body

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
Submit = Callable[[str, str, str | None], Awaitable[Accepted]]
"""The job of a picture, by the pointer to where it was sent, itself, and its idempotency key."""

WITHIN_S: Final = 3_600.0


def request_of(model: type[M], fields: Mapping[str, Any], names: Mapping[str, str]) -> M:
    """The request of one job. Raises InvalidRequest, with fields by the names they were sent by."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        with named_as_sent(names):
            raise bodies.invalid(error, model) from None


async def accepted_each(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    pictures: Mapping[str, str],
    submit: Submit,
    idempotency_key: str | None,
) -> list[Accepted]:
    """The job of each picture, or what refuses the first that is refused, and none of them.

    Each counts as a request of the key's rate, unless its job exists already. With an idempotency
    key each has one of its own: the header's with its number. Raises InvalidIdempotencyKey and what
    `_count` and `submit` do.
    """
    keys = [idempotency_key]
    if len(pictures) > 1:
        keys = own_keys(idempotency_key, len(pictures))
        await _count(gateway, caller, request, pictures, keys)
    every = (
        submit(at, picture, key) for (at, picture), key in zip(pictures.items(), keys, strict=True)
    )
    accepted, refused = _parted(await asyncio.gather(*every, return_exceptions=True))
    if refused:
        if idempotency_key is None:
            commanded = (commands.cancel(job.ref) for job in accepted)
            await asyncio.gather(*map(gateway.ledger.run, commanded))
        raise refused[0]
    instance = Instance.of(gateway, caller)
    await asyncio.gather(*(instance.enter(job.ref, None) for job in accepted))
    return accepted


async def ended_each(
    gateway: Gateway, request: Request, accepted: Sequence[Accepted], *, keep: bool
) -> list[JobRecord]:
    """Their records, once all have succeeded. Raises what the first failed with.

    They are canceled if the client leaves, unless it may come back: `keep`.
    """
    release_body(request)

    async def ended(one: Accepted) -> JobRecord:
        record = await created_and_ended_or_canceled(
            gateway, request, one.ref, _already(one), within_s=WITHIN_S, keep=keep
        )
        if record.state is not JobStatus.SUCCEEDED:
            raise failed(record)
        return record

    records, failures = _parted(await asyncio.gather(*map(ended, accepted), return_exceptions=True))
    if failures:
        raise failures[0]
    return records


async def _count(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    pictures: Mapping[str, str],
    keys: Sequence[str | None],
) -> None:
    """Take the requests of the key's rate for all new pictures, or none.

    Raises RateLimited, or UnsupportedField where the key can never make as many.
    """
    if caller.key_id == NO_KEY:
        return
    allowance, more = caller.allowance, len(await find_new(gateway, caller.tenant, keys)) - 1
    if more <= 0:  # the call itself was counted
        return
    if allowance.per_minute and more >= allowance.burst:
        field = next(iter(pictures)).partition("/")[0]
        refuse(field, f"The key's rate allows {allowance.burst} at once.")
    taken = await gateway.ledger.run(keyring.take_more(caller.key_id, more, least=more))
    request.state.headers = rate_limit_headers(allowance, taken.left, taken.full_ms)
    if not taken.count:  # and when it is repeated, it takes one by itself first
        wait_ms = taken.wait_ms + 60_000 // max(1, allowance.per_minute)
        raise RateLimited(retry_after_s=-(-wait_ms // 1000))


def _parted(found: Sequence[T | BaseException]) -> tuple[list[T], list[BaseException]]:
    failures = [one for one in found if isinstance(one, BaseException)]
    return [one for one in found if not isinstance(one, BaseException)], failures


async def _already(accepted: Accepted) -> Accepted:
    """As one that was found, which may have ended before anybody listened."""
    return replace(accepted, record=None)
