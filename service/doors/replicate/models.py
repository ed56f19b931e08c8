"""`/replicate/v1/models`: the catalogue, each model with its only version and its inputs."""

from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from latentry.contracts import ModelCard
from latentry.errors import UnknownModel
from latentry.ledger import CatalogueEntry
from service.doors.answers import json_response
from service.doors.replicate.access import MayRead
from service.doors.replicate.examples import TAG
from service.doors.replicate.requests import ModelInput
from service.doors.replicate.responses import Page, ReplicateAccount, ReplicateModel, Version
from service.doors.replicate.translation import OWNER, model_id
from service.doors.replicate.views import PREFIX
from service.gateway import Gateway, GatewayDep
from service.jobs.admission import choose

PATH: Final = f"{PREFIX}/v1/models"
_OF: Final = PATH + "/{owner}/{name}"
# No version of Cog: clients take the outputs of its early ones for text that comes in pieces.
_COG: Final = "latentry"

router = APIRouter(tags=[TAG])


@router.get(f"{PREFIX}/v1/account", response_model=ReplicateAccount)
async def get_account(caller: MayRead) -> Response:
    """Get whose predictions and files these are: the tenant's."""
    return json_response(ReplicateAccount(username=caller.tenant, name=caller.tenant))


@router.get(PATH, response_model=Page[ReplicateModel])
async def list_replicate_models(gateway: GatewayDep, caller: MayRead) -> Response:
    """List the models that predictions may name."""
    entries = await gateway.catalogue.entries()
    return json_response(Page(results=[_model(gateway, entry.card) for entry in entries]))


@router.get(_OF, response_model=ReplicateModel)
async def get_replicate_model(
    gateway: GatewayDep, caller: MayRead, owner: str, name: str
) -> Response:
    """Get a model by its id; no owner is looked at."""
    return json_response(_model(gateway, (await _entry(gateway, name)).card))


@router.get(f"{_OF}/versions", response_model=Page[Version])
async def list_model_versions(
    gateway: GatewayDep, caller: MayRead, owner: str, name: str
) -> Response:
    """List a model's only version, whose id is the model's."""
    return json_response(Page(results=[_version((await _entry(gateway, name)).card)]))


@router.get(_OF + "/versions/{version_id}", response_model=Version)
async def get_model_version(
    gateway: GatewayDep, caller: MayRead, owner: str, name: str, version_id: str
) -> Response:
    """Get a model's only version, with the schema of its inputs."""
    if model_id(version_id) != name:
        raise UnknownModel
    return json_response(_version((await _entry(gateway, name)).card))


async def _entry(gateway: Gateway, name: str) -> CatalogueEntry:
    if not name:
        raise UnknownModel
    return choose(name, await gateway.catalogue.entries(including=name))


def _model(gateway: Gateway, card: ModelCard) -> ReplicateModel:
    return ReplicateModel(
        url=f"{gateway.settings.base_url}{PATH}/{OWNER}/{card.id}",
        owner=OWNER,
        name=card.id,
        description=card.family,
        latest_version=_version(card),
    )


def _version(card: ModelCard) -> Version:
    made = datetime.fromtimestamp(card.created, UTC)
    return Version(id=card.id, created_at=made, cog_version=_COG, openapi_schema=_schema())


@cache
def _schema() -> dict[str, Any]:
    """As Cog describes a model: what its input and its output are."""
    inputs = ModelInput.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = inputs.pop("$defs", {})
    output = {"type": "array", "items": {"type": "string", "format": "uri"}, "title": "Output"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "latentry", "version": "0"},
        "paths": {},
        "components": {"schemas": schemas | {"Input": inputs, "Output": output}},
    }
