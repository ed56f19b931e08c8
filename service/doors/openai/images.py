"""`/v1/images/generations`: OpenAI's request as a job, and the ended job as OpenAI's response."""

import asyncio
import base64
import re
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from latentry.contracts import GenerationRequest, Job, JobStatus
from latentry.errors import InvalidRequest, JobFailed, LatentryError, Unavailable
from latentry.ledger import JobRecord
from latentry.storage import Storage
from service.access.auth import MayWrite
from service.doors.answers import Responses, body_schema
from service.doors.openai.dialect import Images, ImagesRequest, Picture
from service.doors.openai.errors import Envelope
from service.doors.submit import submit
from service.doors.wait import ended_or_canceled
from service.gateway import GatewayDep
from service.http import bodies

PREFIX: Final = "/v1/images"
_FAILURES: Final[Responses] = {
    "4XX": {"model": Envelope, "description": "The request was refused; `code` says why."},
    "5XX": {"model": Envelope, "description": "The service or the job failed."},
}
router = APIRouter(prefix=PREFIX, tags=["openai"], responses=_FAILURES)

WITHIN_S: Final = 600.0  # the default timeout of OpenAI's own clients
_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
# OpenAI's model ids, which some clients always send; here they mean the default model.
_ALIASES: Final = re.compile(r"dall-e-[23]|(chat)?gpt-image-.*")
# Clients of these never send `response_format`: OpenAI's answer is always base64.
_BASE64_ALIASES: Final = re.compile(r"(chat)?gpt-image-.*")


@router.post("/generations", response_model=Images, openapi_extra=body_schema(ImagesRequest))
async def create_images(gateway: GatewayDep, caller: MayWrite, request: Request) -> Response:
    """Generate images as OpenAI's API does. Responds when the job has ended."""
    body = await bodies.parse(request, ImagesRequest)
    ref = (await submit(gateway, caller, _generation_request(body))).ref
    record = await ended_or_canceled(gateway, request, ref, within_s=WITHIN_S)
    if record.state is not JobStatus.SUCCEEDED:
        raise _failed(record)
    job = await gateway.views.job(record)
    if _wants_base64(body):
        pictures = await asyncio.to_thread(_with_bytes, gateway.storage, record)
    else:
        pictures = [Picture(url=image.url, seed=image.seed) for image in job.images]
    return _images_response(job, pictures)


def _generation_request(body: ImagesRequest) -> GenerationRequest:
    if body.stream:
        why = "`stream` is not supported; leave it out."
        raise InvalidRequest(why, fields={"/stream": why})
    fields: dict[str, Any] = body.model_dump(
        exclude={"size", "response_format", "stream", "user", "model"}, exclude_none=True
    )
    if body.model and not _ALIASES.fullmatch(body.model):
        fields["model"] = body.model
    if body.user:
        fields["metadata"] = {"user": body.user}
    if body.size not in (None, "auto"):
        fields |= _sides(body.size)
    try:
        return GenerationRequest.model_validate(fields)
    except ValidationError as error:
        raise bodies.invalid(error, GenerationRequest) from None


def _wants_base64(body: ImagesRequest) -> bool:
    if body.response_format is None:
        return _BASE64_ALIASES.fullmatch(body.model or "") is not None
    return body.response_format == "b64_json"


def _sides(size: str) -> dict[str, int]:
    if not (found := _SIZE.fullmatch(size)):
        why = "`size` must be `auto` or WIDTHxHEIGHT, such as 512x512."
        raise InvalidRequest(why, fields={"/size": why})
    return {"width": int(found[1]), "height": int(found[2])}


def _failed(record: JobRecord) -> LatentryError:
    message = record.error.message if record.error else f"The job was {record.state}."
    is_late = record.state is JobStatus.EXPIRED  # retryable: the queue may be shorter then
    error = Unavailable(message) if is_late else JobFailed(message)
    error.code = record.error.code if record.error else record.state.value
    return error


def _with_bytes(storage: Storage, record: JobRecord) -> list[Picture]:
    return [
        Picture(b64_json=base64.b64encode(storage.get(image.key)).decode(), seed=image.seed)
        for image in record.images
    ]


def _images_response(job: Job, pictures: list[Picture]) -> Response:
    width, height = job.request.final_size
    body = Images(
        created=int(job.created_at.timestamp()),
        data=pictures,
        output_format=job.request.output_format,
        size=f"{width}x{height}",
    )
    # OpenAI's clients prefer a `url` key to `b64_json` even if it is null.
    return Response(body.model_dump_json(exclude_none=True), media_type="application/json")
