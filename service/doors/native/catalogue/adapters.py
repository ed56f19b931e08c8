"""`/v1/adapters`: what adapters requests may name."""

from fastapi import APIRouter
from starlette.responses import Response

from latentry.contracts import AdapterList
from service.access.auth import MayRead
from service.doors.answers import json_text
from service.doors.native.tags import Tag
from service.gateway import GatewayDep
from service.http.accept import ACCEPTS_JSON

router = APIRouter(prefix="/v1/adapters", tags=[Tag.MODELS], dependencies=[ACCEPTS_JSON])


@router.get("", response_model=AdapterList)
async def list_adapters(gateway: GatewayDep, _: MayRead) -> Response:
    """List the adapters: their kinds, the models that they fit, their trigger words."""
    return json_text(await gateway.catalogue.adapters())
