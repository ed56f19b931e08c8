"""`/v1/images/*`: OpenAI's routes. Their clients' fields that mean nothing here are named."""

import asyncio
from typing import Any, Final, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from latentry.errors import UnsupportedMediaType
from service.access.auth import MayWrite
from service.doors.answers import PICTURE, Responses, body_schema
from service.doors.idempotency import IdempotencyKey
from service.doors.openai import form
from service.doors.openai.drawing import draw
from service.doors.openai.examples import TAG, events
from service.doors.openai.requests import (
    AnyImagesRequest,
    EditRequest,
    ImagesRequest,
    VariationRequest,
)
from service.doors.openai.responses import Images
from service.gateway import GatewayDep
from service.http import bodies
from service.http.direct import DirectRoute

M = TypeVar("M", bound=BaseModel)

PREFIX: Final = "/v1/images"
PATHS: Final = tuple(f"{PREFIX}/{name}" for name in ("generations", "edits", "variations"))
router = APIRouter(prefix=PREFIX, tags=[TAG], route_class=DirectRoute)


def _streamed(request: type[AnyImagesRequest]) -> Responses:
    """What a route answers to such requests, besides JSON."""
    stream = {
        "schema": {
            "type": "object",
            "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
        },
        "example": events(request.events),
    }
    return {
        200: {
            "description": "The images; with `stream`, OpenAI's server-sent events.",
            "content": {"text/event-stream": stream},
        }
    }


def _form_schema(
    model: type[BaseModel], form_example: dict[str, Any], *, or_json: bool = False
) -> dict[str, Any]:
    """The OpenAPI request body of a route that takes a form."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    content: dict[str, Any] = {"multipart/form-data": {"schema": schema, "example": form_example}}
    if or_json:
        content["application/json"] = {"schema": schema, "example": _EDIT}
    return {"requestBody": {"required": True, "content": content}}


_EDIT: Final = {"prompt": "a red circle", "images": [{"image_url": PICTURE}]}
_EDIT_FORM: Final = {"prompt": "a red circle", "image": PICTURE, "strength": 0.6}
_VARIATION_FORM: Final = {"image": PICTURE, "n": 2}


@router.post(
    "/generations",
    response_model=Images,
    responses=_streamed(ImagesRequest),
    openapi_extra=body_schema(ImagesRequest),
)
async def create_images(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Generate images as OpenAI's API does. Responds when the job has ended.

    The job is canceled if the client disconnects, unless the request has an `Idempotency-Key`: then
    a repetition gets the same images. Fields without effect are named in `X-Ignored-Fields`. With
    `stream`, the images come as events, and with `partial_images` on their way too.
    """
    reading = bodies.parse(request, ImagesRequest)
    return await draw(gateway, caller, request, reading, idempotency_key)


@router.post(
    "/edits",
    response_model=Images,
    responses=_streamed(EditRequest),
    openapi_extra=_form_schema(EditRequest, _EDIT_FORM, or_json=True),
)
async def edit_images(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Edit a picture as OpenAI's API does: a form with the picture, or JSON that names it.

    What is transparent in `mask` is repainted; without a mask the whole picture may change, by
    `strength`. A model that edits by instruction (`limits.edits`) does what the prompt says.
    """
    is_json = _media_type(request) == "application/json"
    reading = (bodies.parse if is_json else _form)(request, EditRequest)
    return await draw(gateway, caller, request, reading, idempotency_key)


@router.post(
    "/variations",
    response_model=Images,
    responses=_streamed(VariationRequest),
    openapi_extra=_form_schema(VariationRequest, _VARIATION_FORM),
)
async def vary_image(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Vary a picture as OpenAI's retired route did: image to image, without a prompt."""
    reading = _form(request, VariationRequest)
    return await draw(gateway, caller, request, reading, idempotency_key)


async def _form(request: Request, model: type[M]) -> M:
    """The request that a form is. Raises UnsupportedMediaType or another InvalidRequest."""
    encoding = request.headers.get("content-encoding", "identity").lower()
    if _media_type(request) != "multipart/form-data" or encoding != "identity":
        raise UnsupportedMediaType("The body must be multipart/form-data, without an encoding.")
    # Not `request.body()`, which would keep a large one until the response is sent.
    raw = b"".join([part async for part in request.stream() if part])
    return await asyncio.to_thread(form.parsed, raw, request.headers["content-type"], model)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
