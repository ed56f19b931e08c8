"""`/v1/images/generations`: OpenAI's request as a job, and the ended job as OpenAI's response."""

import asyncio
import base64
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from latentry.contracts import Job, JobStatus
from latentry.errors import JobFailed, LatentryError, PictureRefused, Unavailable
from latentry.ledger import JobRecord
from latentry.storage import Storage
from service.access.auth import MayWrite
from service.doors.answers import Responses, body_schema
from service.doors.idempotency import IdempotencyKey
from service.doors.openai.dialect import Images, ImagesRequest, Picture
from service.doors.openai.errors import Envelope
from service.doors.openai.sizes import is_wish, nearest, sides
from service.doors.openai.translation import (
    generation_request,
    ignored,
    names_a_model,
    wants_base64,
)
from service.doors.submit import submit
from service.doors.wait import ended_or_canceled
from service.gateway import Gateway, GatewayDep
from service.http import bodies
from service.jobs.admission import choose

PREFIX: Final = "/v1/images"
_FAILURES: Final[Responses] = {
    "4XX": {"model": Envelope, "description": "The request was refused; `code` says why."},
    "5XX": {"model": Envelope, "description": "The service or the job failed."},
}
router = APIRouter(prefix=PREFIX, tags=["openai"], responses=_FAILURES)

WITHIN_S: Final = 600.0  # the default timeout of OpenAI's own clients
IGNORED: Final = "X-Ignored-Fields"


@router.post("/generations", response_model=Images, openapi_extra=body_schema(ImagesRequest))
async def create_images(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Generate images as OpenAI's API does. Responds when the job has ended.

    The job is canceled if the client disconnects, unless the request has an `Idempotency-Key`: then
    a repetition gets the same images. Fields without effect are named in `X-Ignored-Fields`.
    """
    body = await bodies.parse(request, ImagesRequest)
    own = generation_request(body, await _wished_size(gateway, body))
    is_low = body.moderation == "low"
    ref = (await submit(gateway, caller, own, idempotency_key, is_low=is_low)).ref
    record = await ended_or_canceled(
        gateway, request, ref, within_s=WITHIN_S, keep=idempotency_key is not None
    )
    if record.state is not JobStatus.SUCCEEDED:
        raise _failed(record)
    job = await gateway.views.job(record)
    if wants_base64(body):
        pictures = await asyncio.to_thread(_with_bytes, gateway.storage, record)
    else:
        pictures = [Picture(url=image.url, seed=image.seed) for image in job.images]
    names = ignored(body)
    return _images_response(job, pictures, {IGNORED: names} if names else {})


async def _wished_size(gateway: Gateway, body: ImagesRequest) -> tuple[int, int] | None:
    """The size to draw where the client did not choose a model, and so cannot know its sizes."""
    if body.size is None or names_a_model(body) or not is_wish(body.size):
        return None
    model = gateway.settings.default_model
    entry = choose(model, await gateway.catalogue.entries(including=model))
    return nearest(sides(body.size), entry.card.limits)


def _failed(record: JobRecord) -> LatentryError:
    message = record.error.message if record.error else f"The job was {record.state}."
    if record.error and record.error.code == PictureRefused.code:
        return PictureRefused(message)
    is_late = record.state is JobStatus.EXPIRED  # retryable: the queue may be shorter then
    error = Unavailable(message) if is_late else JobFailed(message)
    error.code = record.error.code if record.error else record.state.value
    return error


def _with_bytes(storage: Storage, record: JobRecord) -> list[Picture]:
    return [
        Picture(b64_json=base64.b64encode(storage.get(image.key)).decode(), seed=image.seed)
        for image in record.images
    ]


def _images_response(job: Job, pictures: list[Picture], headers: dict[str, str]) -> Response:
    width, height = job.request.final_size
    body = Images(
        created=int(job.created_at.timestamp()),
        data=pictures,
        output_format=job.request.output_format,
        size=f"{width}x{height}",
    )
    # OpenAI's clients prefer a `url` key to `b64_json` even if it is null.
    text = body.model_dump_json(exclude_none=True)
    return Response(text, headers=headers, media_type="application/json")
