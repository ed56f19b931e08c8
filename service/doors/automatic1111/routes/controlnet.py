"""`/controlnet/*`: what units of ControlNet may name, and what a ControlNet would be shown."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from latentry.contracts import Adapter, AdapterKind
from latentry.contracts.fields.bounds import MAX_CONTROLS
from service.doors.answers import PICTURE, body_schema, json_response
from service.doors.automatic1111.answers.generations import around
from service.doors.automatic1111.callers import MayDraw, MaySee
from service.doors.automatic1111.detecting import detected
from service.doors.automatic1111.requests.detect import Detect
from service.doors.automatic1111.translation.controls import IP_ADAPTER, MODULES, THRESHOLDS
from service.doors.automatic1111.translation.ignored import ignored
from service.doors.encoded import begun, between
from service.doors.idempotency import IdempotencyKey
from service.gateway import Gateway, GatewayDep
from service.http import bodies
from service.http.direct import DirectRoute
from service.jobs.catalogue import adapters_of

DETECT: Final = "/controlnet/detect"
_KINDS: Final = (AdapterKind.CONTROLNET, AdapterKind.T2I_ADAPTER, AdapterKind.IP_ADAPTER)
_NONE: Final = "None"
_VERSION: Final = 3  # of the extension's API
_PROMPT: Final = f"{IP_ADAPTER}-auto"
_LISTED: Final = ("none", "canny", "invert (from white bg & black line)", _PROMPT)
_EXAMPLE: Final = {"controlnet_module": "canny", "controlnet_input_images": [PICTURE]}

router = APIRouter(tags=["automatic1111"], route_class=DirectRoute)


class ControlNetVersion(BaseModel):
    """Of the extension's API."""

    version: int


class ModelNames(BaseModel):
    """`None`, and each ControlNet, T2I-Adapter and IP-Adapter with the first digits of its hash."""

    model_list: list[str]


class ModuleNames(BaseModel):
    """Preprocessors, and their sliders."""

    module_list: list[str]
    module_detail: dict[str, Any]


class ControlType(BaseModel):
    """What of both lists goes together."""

    module_list: list[str]
    model_list: list[str]
    default_option: str
    default_model: str


class ControlTypes(BaseModel):
    """By name."""

    control_types: dict[str, ControlType]


class UnitCount(BaseModel):
    """How many units a request may have."""

    control_net_unit_count: int


class Detected(BaseModel):
    """What ControlNets would be shown, as base64."""

    info: str
    images: list[str]


@router.get("/controlnet/version", response_model=ControlNetVersion)
async def controlnet_version(_: MaySee) -> Response:
    """Version of the extension's API."""
    return json_response(ControlNetVersion(version=_VERSION))


@router.get("/controlnet/model_list", response_model=ModelNames)
async def controlnet_models(
    gateway: GatewayDep,
    _: MaySee,
    update: Annotated[bool, Query(description="It makes no difference.")] = True,
) -> Response:
    """The ControlNets, T2I-Adapters and IP-Adapters."""
    names = [_named(one) for one in await _adapters(gateway)]
    return json_response(ModelNames(model_list=[_NONE, *names]))


@router.get("/controlnet/module_list", response_model=ModuleNames)
async def controlnet_modules(
    _: MaySee,
    alias_names: Annotated[bool, Query(description="It makes no difference.")] = False,
) -> Response:
    """The preprocessors."""
    sliders = [
        {"name": name, "value": value, "min": 1, "max": 1020, "step": 1}
        for name, value in zip(("Low Threshold", "High Threshold"), THRESHOLDS, strict=True)
    ]
    detail = {
        name: {"model_free": False, "sliders": sliders if name == "canny" else []}
        for name in _LISTED
    }
    return json_response(ModuleNames(module_list=list(_LISTED), module_detail=detail))


@router.get("/controlnet/control_types", response_model=ControlTypes)
async def controlnet_types(gateway: GatewayDep, _: MaySee) -> Response:
    """Preprocessors and models that go together: all of a kind."""
    every = await _adapters(gateway)
    named = {kind: [_named(one) for one in every if one.kind is kind] for kind in _KINDS}
    small, prompts = named[AdapterKind.T2I_ADAPTER], named[AdapterKind.IP_ADAPTER]
    nets = [*named[AdapterKind.CONTROLNET], *small]
    modules = [name for name in _LISTED if name in MODULES]
    found = {
        "All": _type([*modules, _PROMPT], [*nets, *prompts]),
        "Canny": _type(["canny", "none"], nets),
        "T2I-Adapter": _type(modules, small),
        "IP-Adapter": _type([_PROMPT], prompts),
    }
    return json_response(ControlTypes(control_types=found))


@router.get("/controlnet/settings", response_model=UnitCount)
async def controlnet_settings(_: MaySee) -> Response:
    """How many units a request may have."""
    return json_response(UnitCount(control_net_unit_count=MAX_CONTROLS))


@router.post(DETECT, response_model=Detected, openapi_extra=body_schema(Detect, _EXAMPLE))
async def controlnet_detect(
    gateway: GatewayDep,
    caller: MayDraw,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make what a ControlNet would be shown of pictures, a job of `POST /v1/controls` each.

    Each counts as a request of the key's rate. If one fails, that is the answer.
    """
    body = await bodies.parse(request, Detect)
    ending, headers = detected(gateway, caller, request, body, idempotency_key), ignored(body)
    del body  # not kept while the client waits
    images = [image for record in await ending for image in record.images]
    texts = around(b'{"info":"Success","images":', len(images), b"}")
    pieces = between(gateway.storage, images, texts)
    return StreamingResponse(await begun(pieces), headers=headers, media_type="application/json")


async def _adapters(gateway: Gateway) -> list[Adapter]:
    every = adapters_of(await gateway.catalogue.entries())
    return [one for one in every if one.kind in _KINDS and one.models]


def _named(one: Adapter) -> str:
    return f"{one.id} [{one.sha256[:8]}]"


def _type(modules: list[str], models: list[str]) -> ControlType:
    return ControlType(
        module_list=modules,
        model_list=[_NONE, *models],
        default_option=modules[0],
        default_model=models[0] if models else _NONE,
    )
