"""`/v1/controls`: what ControlNets would be shown, made of pictures by themselves."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from latentry.contracts import ControlRequest
from service.access.auth import MayWrite
from service.doors.answers import PICTURE, body_schema
from service.doors.idempotency import IdempotencyKey
from service.doors.native.creating import ACCEPTED, Prefer, create
from service.doors.native.tags import Tag
from service.gateway import GatewayDep
from service.http.accept import ACCEPTS_JSON
from service.http.direct import DirectRoute

PATH: Final = "/v1/controls"
_EXAMPLE: Final = {"image": PICTURE, "preprocess": "canny", "width": 512}

router = APIRouter(tags=[Tag.CONTROLS], dependencies=[ACCEPTS_JSON], route_class=DirectRoute)


@router.post(
    PATH,
    **ACCEPTED,
    openapi_extra=body_schema(ControlRequest, _EXAMPLE),
)
async def create_control(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
    preferences: Prefer = None,
) -> Response:
    """Create a job that preprocesses one picture, as `POST /v1/generations` creates one.

    Its image is what a ControlNet would be shown: send it as `image` of `controls`, without
    `preprocess`. It is read, canceled and deleted under `/v1/generations/{id}`, with `kind`
    `control`.
    """
    return await create(gateway, caller, request, ControlRequest, idempotency_key, preferences)
