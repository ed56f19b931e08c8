"""The extras tab, PNG info and interrogation."""

from typing import Final

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse

from latentry.contracts import ResolvedUpscale
from latentry.ledger import JobRecord
from latentry.provenance.parameters import parse
from service.doors.answers import PICTURE, body_schema, json_response
from service.doors.automatic1111.answers.generations import (
    BatchImagesAnswer,
    CaptionAnswer,
    PngInfoAnswer,
    SingleImageAnswer,
    around,
)
from service.doors.automatic1111.callers import MayDraw, MaySee
from service.doors.automatic1111.enlarging import enlarged
from service.doors.automatic1111.interrogating import interrogated
from service.doors.automatic1111.requests.extras import (
    ExtraBatchImages,
    ExtraSingleImage,
    Interrogate,
    PngInfo,
)
from service.doors.automatic1111.translation.ignored import ignored
from service.doors.encoded import begun, between
from service.doors.idempotency import IdempotencyKey
from service.gateway import GatewayDep
from service.http import bodies
from service.http.direct import DirectRoute

PREFIX: Final = "/sdapi/v1"
SINGLE, BATCH = f"{PREFIX}/extra-single-image", f"{PREFIX}/extra-batch-images"
PNG_INFO, INTERROGATE = f"{PREFIX}/png-info", f"{PREFIX}/interrogate"
_PICTURE: Final = {"image": PICTURE}
_ENLARGED: Final = _PICTURE | {"upscaler_1": "Lanczos", "upscaling_resize": 2}
_SEVERAL: Final = {
    "imageList": [{"data": PICTURE, "name": "photo"}],
    "upscaler_1": "Lanczos",
}

router = APIRouter(tags=["automatic1111"], route_class=DirectRoute)


@router.post(
    SINGLE,
    response_model=SingleImageAnswer,
    openapi_extra=body_schema(ExtraSingleImage, _ENLARGED),
)
async def extra_single_image(
    gateway: GatewayDep,
    caller: MayDraw,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Enlarge a picture: a job of `POST /v1/upscales`. The upscaler `None` changes nothing."""
    body = await bodies.parse(request, ExtraSingleImage)
    pictures = {"image": body.image}
    ending, headers = (
        enlarged(gateway, caller, request, body, pictures, idempotency_key),
        ignored(body),
    )
    del body, pictures  # not kept while the client waits
    records = await ending
    start = b'{"html_info":%s,"image":"' % to_json(_told(records))
    pieces = between(gateway.storage, records[0].images, [start, b'"}'])
    return StreamingResponse(await begun(pieces), headers=headers, media_type="application/json")


@router.post(
    BATCH, response_model=BatchImagesAnswer, openapi_extra=body_schema(ExtraBatchImages, _SEVERAL)
)
async def extra_batch_images(
    gateway: GatewayDep,
    caller: MayDraw,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Enlarge several pictures, a job each. If one fails, that is the answer.

    Each counts as a request of the key's rate; if too few are left, none is taken.
    """
    body = await bodies.parse(request, ExtraBatchImages)
    pictures = {f"imageList/{k}/data": one.data for k, one in enumerate(body.imageList)}
    ending, headers = (
        enlarged(gateway, caller, request, body, pictures, idempotency_key),
        ignored(body),
    )
    del body, pictures  # not kept while the client waits
    records = await ending
    images = [image for record in records for image in record.images]
    start = b'{"html_info":%s,"images":' % to_json(_told(records))
    pieces = between(gateway.storage, images, around(start, len(images), b"}"))
    return StreamingResponse(await begun(pieces), headers=headers, media_type="application/json")


@router.post(PNG_INFO, response_model=PngInfoAnswer, openapi_extra=body_schema(PngInfo, _PICTURE))
async def png_info(gateway: GatewayDep, caller: MaySee, request: Request) -> Response:
    """Read the generation parameters of a picture. Nothing is kept.

    Its file is read in a process of its own, as by `POST /v1/verify`.
    """
    body = await bodies.parse(request, PngInfo)
    found = await gateway.verifier.named(caller.tenant, body.image)
    text = found.infotext or ""
    items = {"parameters": text} if text else {}
    return json_response(PngInfoAnswer(info=text, items=items, parameters=_parameters(text)))


@router.post(
    INTERROGATE,
    response_model=CaptionAnswer,
    openapi_extra=body_schema(Interrogate, _PICTURE),
)
async def interrogate(
    gateway: GatewayDep,
    caller: MayDraw,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Say what a picture shows: a job of `POST /v1/captions`."""
    body = await bodies.parse(request, Interrogate)
    ending, headers = interrogated(gateway, caller, request, body, idempotency_key), ignored(body)
    del body  # not kept while the client waits
    return json_response(CaptionAnswer(caption=await ending), headers=headers)


def _told(records: list[JobRecord]) -> str:
    """What was done to the pictures, as `html_info`."""
    request = records[0].request
    if not isinstance(request, ResolvedUpscale):
        return "<p></p>"
    return f"<p>Postprocess upscale by: {request.scale:g}, upscaler: {request.upscaler}</p>"


def _parameters(text: str) -> dict[str, str]:
    """By AUTOMATIC1111's names, sizes in two parts; nothing of a text without any."""
    if not text:
        return {}
    found = parse(text)
    read = {"Prompt": found.prompt, "Negative prompt": found.negative_prompt}
    for name, value in found.settings.items():
        if size := found.size(name):
            read[f"{name}-1"], read[f"{name}-2"] = map(str, size)
        else:
            read[name] = value
    return read
