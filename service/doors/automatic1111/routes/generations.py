"""`txt2img` and `img2img`."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.doors.answers import PICTURE, body_schema
from service.doors.automatic1111.answers.generations import GenerationAnswer
from service.doors.automatic1111.callers import MayDraw
from service.doors.automatic1111.drawing import draw
from service.doors.automatic1111.requests.generations import Img2Img, Txt2Img
from service.doors.idempotency import IdempotencyKey
from service.gateway import GatewayDep
from service.http import bodies
from service.http.direct import DirectRoute

PATHS: Final = ("/sdapi/v1/txt2img", "/sdapi/v1/img2img")
_TEXT: Final = {"prompt": "a red circle on a blue background", "steps": 20}
_PICTURE: Final = _TEXT | {"init_images": [PICTURE]}

router = APIRouter(prefix="/sdapi/v1", tags=["automatic1111"], route_class=DirectRoute)


@router.post("/txt2img", response_model=GenerationAnswer, openapi_extra=body_schema(Txt2Img, _TEXT))
async def txt2img(
    gateway: GatewayDep,
    caller: MayDraw,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Generate images as AUTOMATIC1111's API does. Responds when the job has ended.

    The job is canceled if the client disconnects, unless the request has an `Idempotency-Key`: then
    a repetition gets the same images. Fields without effect are named in `X-Ignored-Fields`.
    """
    reading = bodies.parse(request, Txt2Img)
    return await draw(gateway, caller, request, reading, idempotency_key)


@router.post(
    "/img2img", response_model=GenerationAnswer, openapi_extra=body_schema(Img2Img, _PICTURE)
)
async def img2img(
    gateway: GatewayDep,
    caller: MayDraw,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Generate images from a picture, or repaint a part of it, as AUTOMATIC1111's API does."""
    reading = bodies.parse(request, Img2Img)
    return await draw(gateway, caller, request, reading, idempotency_key)
