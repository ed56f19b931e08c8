"""`/v1/styles`: the named templates of prompts."""

from fastapi import APIRouter
from starlette.responses import Response

from latentry.contracts import StyleList
from service.access.auth import MayRead
from service.doors.answers import json_response
from service.doors.native.tags import Tag
from service.gateway import GatewayDep
from service.http.accept import ACCEPTS_JSON

router = APIRouter(prefix="/v1/styles", tags=[Tag.MODELS], dependencies=[ACCEPTS_JSON])


@router.get("", response_model=StyleList)
async def list_styles(gateway: GatewayDep, _: MayRead) -> Response:
    """List the styles: what a request's `styles` may name, and what each adds to a prompt."""
    return json_response(StyleList(data=list(gateway.library.styles.values())))
