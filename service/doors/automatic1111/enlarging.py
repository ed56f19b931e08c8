"""Pictures of the extras tab as upscales, and their ends as answers.

The upscaler `None` leaves pictures as they are, which is a control job without preprocessing.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request

from latentry.contracts import ControlRequest, Preprocess, UpscaleRequest
from latentry.contracts.upscales import UPSCALER_ID
from latentry.errors import UnknownUpscaler
from latentry.ledger import Accepted, JobRecord
from service.access.auth import Caller
from service.doors.automatic1111.instance import Instance
from service.doors.automatic1111.requests.extras import AnyExtra
from service.doors.automatic1111.several import accepted_each, ended_each, request_of
from service.doors.automatic1111.translation.names import is_none
from service.doors.automatic1111.translation.refusals import is_asked, refuse, refused_as
from service.doors.fates import Fate, with_fate
from service.doors.naming import named_as_sent
from service.doors.sizes import size_of
from service.doors.submit import submit
from service.gateway import Gateway

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
    output: dict[str, Any] = {"output_format": options.output_format}
    if options.samples_format != "png":
        output["output_quality"] = options.jpeg_quality

    async def one(at: str, picture: str, key: str | None) -> Accepted:
        names = _NAMES | {"image": at}
        fields = output | {"image": picture}
        own: UpscaleRequest | ControlRequest
        if is_none(body.upscaler_1):  # a job all the same: nobody reads files by it, past quotas
            own = request_of(ControlRequest, fields | {"preprocess": Preprocess.NONE}, names)
        elif not re.fullmatch(UPSCALER_ID, body.upscaler_1):  # such as `R-ESRGAN 4x+`
            raise UnknownUpscaler
        else:
            scale = await _scale(gateway, caller, body, picture)
            fields |= {"upscaler": body.upscaler_1, "scale": scale}
            own = request_of(UpscaleRequest, fields, names)
        with named_as_sent(names):
            return await submit(gateway, caller, own, key)

    return await accepted_each(gateway, caller, request, pictures, one, idempotency_key)


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


def _refuse_impossible(body: AnyExtra) -> None:
    for name, here in with_fate(type(body), Fate.REFUSED).items():
        if is_asked(getattr(body, name), here):
            refuse(name, refused_as(type(body).model_fields[name].description))
