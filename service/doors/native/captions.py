"""`/v1/captions`: what pictures show, in words."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from latentry.contracts import CaptionRequest
from service.access.auth import MayWrite
from service.doors.answers import PICTURE, body_schema
from service.doors.idempotency import IdempotencyKey
from service.doors.native.creating import ACCEPTED, Prefer, create
from service.doors.native.tags import Tag
from service.gateway import GatewayDep
from service.http.accept import ACCEPTS_JSON
from service.http.direct import DirectRoute

PATH: Final = "/v1/captions"
_EXAMPLE: Final = {"image": PICTURE}

router = APIRouter(tags=[Tag.CAPTIONS], dependencies=[ACCEPTS_JSON], route_class=DirectRoute)


@router.post(
    PATH,
    **ACCEPTED,
    openapi_extra=body_schema(CaptionRequest, _EXAMPLE),
)
async def create_caption(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
    preferences: Prefer = None,
) -> Response:
    """Create a job that says what a picture shows, as `POST /v1/generations` creates one.

    The words are `caption` of the finished job. It is read, canceled and deleted under
    `/v1/generations/{id}`, with `kind` `caption`.
    """
    return await create(gateway, caller, request, CaptionRequest, idempotency_key, preferences)
