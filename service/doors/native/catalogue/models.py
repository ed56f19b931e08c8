"""`/v1/models`: the catalogue, in one format for OpenAI's clients and ours."""

from fastapi import APIRouter
from starlette.responses import Response

from latentry.contracts import Model, ModelList
from latentry.errors import UnknownModel
from service.access.auth import MayRead
from service.doors.answers import json_response
from service.doors.native.tags import Tag
from service.gateway import GatewayDep
from service.http.accept import ACCEPTS_JSON

router = APIRouter(prefix="/v1/models", tags=[Tag.MODELS], dependencies=[ACCEPTS_JSON])


@router.get("", response_model=ModelList)
async def list_models(gateway: GatewayDep, _: MayRead) -> Response:
    """List the models: limits, defaults, samplers, live workers."""
    entries = await gateway.catalogue.entries()
    return json_response(ModelList(data=[entry.model for entry in entries]))


@router.get("/{model_id}", response_model=Model)
async def get_model(gateway: GatewayDep, _: MayRead, model_id: str) -> Response:
    """Get one model."""
    for entry in await gateway.catalogue.entries(including=model_id):
        if entry.card.id == model_id:
            return json_response(entry.model)
    raise UnknownModel
