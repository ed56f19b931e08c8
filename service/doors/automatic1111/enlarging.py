"""Pictures of the extras tab as upscales, and their ends as answers."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import ValidationError

from latentry.contracts import JobStatus, UpscaleRequest
from latentry.contracts.upscales import UPSCALER_ID
from latentry.errors import RateLimited, UnknownUpscaler
from latentry.ledger import Accepted, JobRecord, commands, keyring
from latentry.ledger.accounts import NO_KEY
from service.access.auth import Caller, rate_limit_headers
from service.doors.automatic1111.instance import Instance
from service.doors.automatic1111.requests.extras import AnyExtra
from service.doors.automatic1111.translation.names import is_none
from service.doors.automatic1111.translation.refusals import is_asked, refuse, refused_as
from service.doors.ends import failed
from service.doors.fates import Fate, with_fate
from service.doors.naming import named_as_sent
from service.doors.sizes import size_of
from service.doors.submit import submit
from service.doors.wait import created_and_ended_or_canceled
from service.gateway import Gateway
from service.http import bodies
from service.http.body_room import release_body

T = TypeVar("T")

WITHIN_S: Final = 3_600.0
_NAMES: Final = {"scale": "upscaling_resize", "upscaler": "upscaler_1"}


async def enlarged(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    body: AnyExtra,
    pictures: Mapping[str, str],
    idempotency_key: str | None,
) -> list[JobRecord]:
    """The ended job of each picture. `pictures`: by the pointer to where they were sent.

    They are canceled if one of them is refused or the client leaves, unless it has an idempotency
    key: each then has one of its own, the header's with its number.
    """
    _refuse_impossible(body)
    await _count(gateway, caller, request, len(pictures))
    keep = idempotency_key is not None
    accepted = await _accepted(gateway, caller, body, pictures, idempotency_key)
    del body, pictures  # nobody keeps them while the client waits
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


async def _count(gateway: Gateway, caller: Caller, request: Request, jobs: int) -> None:
    """Each job counts as a request of the key's rate, which is taken for all or for none.

    Raises RateLimited, or UnsupportedField where the key can never make as many.
    """
    allowance = caller.allowance
    if caller.key_id == NO_KEY or jobs == 1:
        return
    if allowance.per_minute and jobs > allowance.burst:
        refuse("imageList", f"The key's rate allows {allowance.burst} at once.")
    taken = await gateway.ledger.run(keyring.take_more(caller.key_id, jobs - 1, least=jobs - 1))
    request.state.headers = rate_limit_headers(allowance, taken.left, taken.full_ms)
    if not taken.count:
        raise RateLimited(retry_after_s=-(-taken.wait_ms // 1000))


async def _accepted(
    gateway: Gateway,
    caller: Caller,
    body: AnyExtra,
    pictures: Mapping[str, str],
    idempotency_key: str | None,
) -> list[Accepted]:
    """The job of each picture, or what refuses the first that is refused, and none of them."""
    instance = Instance.of(gateway, caller)
    options = await instance.options()
    fields: dict[str, Any] = {
        "upscaler": body.upscaler_1,
        "output_format": options.output_format,
    } | ({} if options.samples_format == "png" else {"output_quality": options.jpeg_quality})

    async def one(number: int, at: str, picture: str) -> Accepted:
        names = _NAMES | {"image": at}
        scale = await _scale(gateway, caller, body, picture)
        own = _request({**fields, "image": picture, "scale": scale}, names)
        key = idempotency_key
        if key is not None and len(pictures) > 1:
            key = f"{key}:{number}"
        with named_as_sent(names):
            return await submit(gateway, caller, own, key)

    every = (one(k, at, picture) for k, (at, picture) in enumerate(pictures.items()))
    accepted, refused = _parted(await asyncio.gather(*every, return_exceptions=True))
    if refused:
        if idempotency_key is None:
            commanded = (commands.cancel(job.ref) for job in accepted)
            await asyncio.gather(*map(gateway.ledger.run, commanded))
        raise refused[0]
    await asyncio.gather(*(instance.enter(job.ref, None) for job in accepted))
    return accepted


def _parted(found: Sequence[T | BaseException]) -> tuple[list[T], list[BaseException]]:
    failures = [one for one in found if isinstance(one, BaseException)]
    return [one for one in found if not isinstance(one, BaseException)], failures


async def _already(accepted: Accepted) -> Accepted:
    """As one that was found, which may have ended before anybody listened."""
    return replace(accepted, record=None)


async def _scale(gateway: Gateway, caller: Caller, body: AnyExtra, picture: str) -> float:
    if body.resize_mode == 0:
        return body.upscaling_resize
    size = await size_of(gateway.files, caller.tenant, picture)
    if size is None:
        refuse("resize_mode", "Of a URL the size is not known yet; send the picture itself.")
    width, height = body.upscaling_resize_w, body.upscaling_resize_h
    scale = width / size[0]
    if abs(size[1] * scale - height) > 1:
        refuse("upscaling_resize_h", "The result must have the picture's own proportions.")
    return scale


def _request(fields: dict[str, Any], names: Mapping[str, str]) -> UpscaleRequest:
    if not re.fullmatch(UPSCALER_ID, fields["upscaler"]):  # such as `R-ESRGAN 4x+`
        raise UnknownUpscaler
    try:
        return UpscaleRequest.model_validate(fields)
    except ValidationError as error:
        with named_as_sent(names):
            raise bodies.invalid(error, UpscaleRequest) from None


def _refuse_impossible(body: AnyExtra) -> None:
    if is_none(body.upscaler_1):  # returning the picture would be reading files, and past quotas
        refuse("upscaler_1", "None changes nothing; name another of GET /sdapi/v1/upscalers.")
    for name, here in with_fate(type(body), Fate.REFUSED).items():
        if is_asked(getattr(body, name), here):
            refuse(name, refused_as(type(body).model_fields[name].description))
