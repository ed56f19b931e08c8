"""`/hf/{model}`: an inference endpoint, as Hugging Face's clients call one by its URL."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from latentry.contracts import JobStatus, OutputFormat
from latentry.errors import NoModel, UnsupportedMediaType
from latentry.ledger import Accepted, CatalogueEntry
from service.access.auth import MayRead, MayWrite
from service.doors.answers import BINARY, Responses, json_response
from service.doors.encoded import read
from service.doors.ends import failed
from service.doors.hugging_face.formats import accepted_format
from service.doors.hugging_face.requests import InferenceRequest
from service.doors.hugging_face.translation import (
    PARAMETERS,
    generation_request,
    ignored,
    names,
)
from service.doors.idempotency import IdempotencyKey
from service.doors.naming import named_as_sent
from service.doors.submit import submit
from service.doors.wait import created_and_ended_or_canceled
from service.gateway import Gateway, GatewayDep
from service.http import bodies
from service.http.body_room import release_body
from service.http.direct import DirectRoute
from service.jobs.admission import choose
from service.jobs.ids import new_ref

TAG: Final = "Hugging Face API"
PREFIX: Final = "/hf"
PATH: Final = PREFIX + "/{model}"
WITHIN_S: Final = 600.0  # as OpenAI's door
_IGNORED: Final = "X-Ignored-Fields"
_TYPES: Final = tuple(form.content_type for form in OutputFormat)
_IMAGE: Final[Responses] = {200: {"content": dict.fromkeys(_TYPES, BINARY)}}
_JSON: Final = "application/json"
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            _JSON: {
                "schema": {"$ref": f"#/components/schemas/{InferenceRequest.__name__}"},
                "example": {"inputs": "a red circle on a blue background"},
            },
            **dict.fromkeys((*_TYPES, "application/octet-stream"), BINARY),
        },
    }
}

router = APIRouter(tags=[TAG], route_class=DirectRoute)


class EndpointInfo(BaseModel):
    """What an endpoint serves."""

    model_id: str
    model_pipeline_tag: str = "text-to-image"
    max_concurrent_requests: int


@router.post(PATH, response_class=Response, responses=_IMAGE, openapi_extra=_BODY)
async def infer(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    model: str,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Text to image, or image to image, as Hugging Face's inference endpoints do it.

    Responds with the image's bytes when the job has ended. It is canceled if the client
    disconnects, unless the request has an `Idempotency-Key`: then a repetition gets the same image.
    Fields without effect are named in `X-Ignored-Fields`.
    """
    accepted = accepted_format(request.headers.get("accept", ""))
    body = await _read(request)
    own = generation_request(body, model, accepted)
    headers = {_IGNORED: left_out} if (left_out := ignored(body)) else {}
    ref, keep = new_ref(caller.tenant), idempotency_key is not None
    submission = submit(gateway, caller, own, idempotency_key, ref)
    submitted = _submitted(request, names(body), submission)
    del body, own, submission  # the picture is not kept while the client waits
    record = await created_and_ended_or_canceled(
        gateway, request, ref, submitted, within_s=WITHIN_S, keep=keep
    )
    if record.state is not JobStatus.SUCCEEDED:
        raise failed(record)
    [image] = record.images
    headers |= {"X-Job-Id": record.ref.id, "X-Seed": str(image.seed)}
    picture = await read(gateway.storage, image)
    return Response(picture, headers=headers, media_type=image.content_type)


@router.get(f"{PATH}/health", response_class=Response)
async def check_endpoint(gateway: GatewayDep, caller: MayRead, model: str) -> Response:
    """Whether a worker serves the model now."""
    if not (await _entry(gateway, model)).workers:
        raise NoModel
    return Response(status_code=200)


@router.get(f"{PATH}/info", response_model=EndpointInfo)
async def get_endpoint_info(gateway: GatewayDep, caller: MayRead, model: str) -> Response:
    """Get what the endpoint serves."""
    card = (await _entry(gateway, model)).card
    most = gateway.settings.max_queued
    return json_response(EndpointInfo(model_id=card.id, max_concurrent_requests=most))


async def _entry(gateway: Gateway, model: str) -> CatalogueEntry:
    return choose(model, await gateway.catalogue.entries(including=model))


async def _read(request: Request) -> InferenceRequest:
    """The request of a JSON body, or of a picture alone. Raises InvalidRequest."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and media_type != "application/octet-stream" and media_type not in _TYPES:
        return await bodies.parse(request, InferenceRequest)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType
    raw = b"".join([part async for part in request.stream() if part])
    picture = (await asyncio.to_thread(b64encode, raw)).decode()
    reference = f"data:application/octet-stream;base64,{picture}"
    return InferenceRequest.model_validate({"inputs": reference, PARAMETERS: {"prompt": ""}})


async def _submitted(
    request: Request, sent: Mapping[str, str], submission: Awaitable[Accepted]
) -> Accepted:
    with named_as_sent(sent, PARAMETERS):
        accepted = await submission
    del submission
    release_body(request)
    return accepted


TAGS: Final = {TAG: "Inference endpoints for Hugging Face's clients."}
EXAMPLES: Final = {
    EndpointInfo.__name__: EndpointInfo(model_id="shapes", max_concurrent_requests=1_000)
}
