"""`/v1/interpolations`: create jobs whose images are frames; `/v1/generations/{id}` reads them."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from latentry.contracts import InterpolationRequest
from service.access.auth import MayWrite
from service.doors.answers import body_schema
from service.doors.idempotency import IdempotencyKey
from service.doors.native.creating import ACCEPTED, Prefer, create
from service.doors.native.tags import Tag
from service.gateway import GatewayDep
from service.http.accept import ACCEPTS_JSON
from service.http.direct import DirectRoute

PATH: Final = "/v1/interpolations"

router = APIRouter(
    prefix=PATH,
    tags=[Tag.VIDEO],
    dependencies=[ACCEPTS_JSON],
    route_class=DirectRoute,
)

_EXAMPLE: Final = {
    "from": {"prompt": "a red circle on a blue background", "seed": 1},
    "to": {"prompt": "a green square on a white background", "seed": 2},
    "frames": 9,
    "output": "webp",
}


@router.post(
    "",
    **ACCEPTED,
    openapi_extra=body_schema(InterpolationRequest, _EXAMPLE),
)
async def create_interpolation(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
    preferences: Prefer = None,
) -> Response:
    """Create a job for the frames between pictures, each of them a picture of the same batches.

    Noises are interpolated spherically, conditionings linearly, pictures to start from by their
    latents. The first frame is the picture of `from`, the last one that of `to`, in strict mode bit
    for bit. `images` lists the frames; with an `output` other than `frames` one more output, of
    kind `clip`, has them all. It costs as much as so many images, and with a clip one call more for
    each. Read, follow, cancel and delete it under `/v1/generations/{id}`.
    """
    return await create(
        gateway, caller, request, InterpolationRequest, idempotency_key, preferences
    )
