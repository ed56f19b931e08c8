"""`/v1/upscales` and `/v1/upscalers`: pictures enlarged by themselves, and by what."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from latentry.contracts import UpscaleRequest, UpscalerList
from service.access.auth import MayRead, MayWrite
from service.doors.answers import PICTURE, body_schema, json_response
from service.doors.idempotency import IdempotencyKey
from service.doors.native.creating import ACCEPTED, Prefer, create
from service.doors.native.tags import Tag
from service.gateway import GatewayDep
from service.http.accept import ACCEPTS_JSON
from service.http.direct import DirectRoute

PATH: Final = "/v1/upscales"
_EXAMPLE: Final = {"image": PICTURE, "scale": 2}

router = APIRouter(tags=[Tag.UPSCALING], dependencies=[ACCEPTS_JSON], route_class=DirectRoute)


@router.post(
    PATH,
    **ACCEPTED,
    openapi_extra=body_schema(UpscaleRequest, _EXAMPLE),
)
async def create_upscale(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
    preferences: Prefer = None,
) -> Response:
    """Create a job that enlarges one picture, as `POST /v1/generations` creates one.

    It is read, canceled and deleted under `/v1/generations/{id}`, with `kind` `upscale`.
    """
    return await create(gateway, caller, request, UpscaleRequest, idempotency_key, preferences)


@router.get("/v1/upscalers", response_model=UpscalerList)
async def list_upscalers(gateway: GatewayDep, _: MayRead) -> Response:
    """List the upscalers: architecture, scale, live workers."""
    entries = await gateway.catalogue.upscalers()
    return json_response(UpscalerList(data=[entry.upscaler for entry in entries]))
