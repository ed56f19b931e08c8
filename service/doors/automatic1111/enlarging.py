"""Pictures of the extras tab as upscales, and their ends as answers."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from pydantic import ValidationError

from latentry.contracts import UpscaleRequest
from latentry.contracts.upscales import UPSCALER_ID
from latentry.errors import UnknownUpscaler
from latentry.ledger import Accepted, JobRecord
from latentry.ledger.files import PREFIX as FILE_PREFIX
from service.access.auth import Caller
from service.doors.automatic1111.instance import Instance
from service.doors.automatic1111.requests.extras import AnyExtra
from service.doors.automatic1111.several import accepted_each, ended_each
from service.doors.automatic1111.translation.refusals import is_asked, refuse, refused_as
from service.doors.fates import Fate, with_fate
from service.doors.naming import named_as_sent
from service.doors.sizes import size_of
from service.doors.submit import submit
from service.gateway import Gateway
from service.http import bodies

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
    accepted = await _accepted(gateway, caller, request, body, pictures, idempotency_key)
    del body, pictures  # nobody keeps them while the client waits
    return await ended_each(gateway, request, accepted, keep=idempotency_key is not None)


async def _accepted(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    body: AnyExtra,
    pictures: Mapping[str, str],
    idempotency_key: str | None,
) -> list[Accepted]:
    options = await Instance.of(gateway, caller).options()
    fields: dict[str, Any] = {
        "upscaler": body.upscaler_1,
        "output_format": options.output_format,
    } | ({} if options.samples_format == "png" else {"output_quality": options.jpeg_quality})

    async def one(at: str, picture: str, key: str | None) -> Accepted:
        names = _NAMES | {"image": at}
        scale = await _scale(gateway, caller, body, picture)
        own = _request({**fields, "image": picture, "scale": scale}, names)
        with named_as_sent(names):
            return await submit(gateway, caller, own, key)

    return await accepted_each(gateway, caller, request, pictures, one, idempotency_key)


async def itself(gateway: Gateway, caller: Caller, picture: str) -> str:
    """The base64 of a picture as it is, which is what the upscaler `None` makes of it."""
    if picture.startswith(FILE_PREFIX):
        record = await gateway.files.record(caller.tenant, picture)
        png = await gateway.files.content(record.ref)
    else:
        async with gateway.inputs.sent(caller.tenant, picture) as data:
            png = (await gateway.intake.take(data, caller.tenant)).png
    return (await asyncio.to_thread(b64encode, png)).decode()


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
    for name, here in with_fate(type(body), Fate.REFUSED).items():
        if is_asked(getattr(body, name), here):
            refuse(name, refused_as(type(body).model_fields[name].description))
