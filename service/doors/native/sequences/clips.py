"""`/v1/clips`: create jobs that draw a short clip; `/v1/generations/{id}` reads them."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from latentry.contracts import ClipRequest
from service.access.auth import MayWrite
from service.doors.answers import body_schema
from service.doors.idempotency import IdempotencyKey
from service.doors.native.creating import ACCEPTED, Prefer, create
from service.doors.native.tags import Tag
from service.gateway import GatewayDep
from service.http.accept import ACCEPTS_JSON
from service.http.direct import DirectRoute

PATH: Final = "/v1/clips"

router = APIRouter(
    prefix=PATH,
    tags=[Tag.VIDEO],
    dependencies=[ACCEPTS_JSON],
    route_class=DirectRoute,
)

_EXAMPLE: Final = {
    "prompt": "a red circle moving from left to right",
    "frames": 8,
    "output": "webp",
}


@router.post(
    "",
    **ACCEPTED,
    openapi_extra=body_schema(ClipRequest, _EXAMPLE),
)
async def create_clip(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
    preferences: Prefer = None,
) -> Response:
    """Create a job for a clip, whose frames the model's motion module draws together.

    Only for models with `limits.max_frames`. `images` lists the frames; with an `output` other than
    `frames` one more output, of kind `clip`, has them all. It costs as much as so many images, and
    with such a file one call more for each. Read, follow, cancel and delete it under
    `/v1/generations/{id}`.
    """
    return await create(gateway, caller, request, ClipRequest, idempotency_key, preferences)
