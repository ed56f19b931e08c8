"""OpenAI's front door: `/v1/images/generations`, a thin translation onto the same jobs."""

import asyncio
import base64
import re
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from latentry.contracts import (
    GenerationRequest,
    Job,
    JobStatus,
)
from latentry.errors import (
    InvalidRequest,
    JobFailed,
    LatentryError,
    QuotaExceeded,
    ShuttingDown,
    Unavailable,
)
from latentry.ledger import JobRecord, JobRef, commands
from service.access.auth import MayWrite
from service.doors import submit
from service.doors.answers import body_schema
from service.doors.openai.dialect import Envelope, Fault, Images, ImagesRequest, Picture
from service.gateway import Gateway, Here
from service.http import bodies
from service.http.problems import Failure

PREFIX: Final = "/v1/images"
_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": Envelope, "description": "What was asked cannot be."},
    "5XX": {"model": Envelope, "description": "Our fault."},
}
router = APIRouter(prefix=PREFIX, tags=["openai"], responses=_REFUSED)

# As long as OpenAI's own clients wait by default.
PATIENCE_S: Final = 600.0
_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
# Names that clients insist on; here they all mean the default model.
_ALIASES: Final = re.compile(r"dall-e-[23]|(chat)?gpt-image-.*")


@router.post("/generations", response_model=Images, openapi_extra=body_schema(ImagesRequest))
async def create_images(gateway: Here, caller: MayWrite, request: Request) -> Response:
    """Order pictures as OpenAI's clients do, and wait for them."""
    asked = await bodies.parse(request, ImagesRequest)
    ref = await submit.place(gateway, caller, _order(asked))
    record = await _held(gateway, request, ref)
    if record.state is not JobStatus.SUCCEEDED:
        raise _failed(record)
    job = await gateway.views.job(record)
    if asked.response_format == "b64_json":
        pictures = await asyncio.to_thread(_by_value, gateway, record)
    else:
        pictures = [Picture(url=image.url, seed=image.seed) for image in job.images]
    return _told(job, pictures)


def envelope(failure: Failure) -> Response:
    """A failure in OpenAI's words."""
    param = next(iter(failure.fields), "").removeprefix("/") or None
    fault = Fault(
        message=failure.detail,
        type="invalid_request_error" if failure.status < 500 else "server_error",
        param="size" if param in ("width", "height") else param,
        code=failure.code,
    )
    headers = dict(failure.headers)
    # OpenAI's clients repeat every 5xx and 429; a failed job would fail again, a day's quota lasts.
    if failure.status == 502 or failure.code == QuotaExceeded.code:
        headers["x-should-retry"] = "false"
    status = 400 if failure.status == 422 else failure.status
    body = Envelope(error=fault).model_dump_json()
    return Response(body, status, headers, media_type="application/json")


def _order(asked: ImagesRequest) -> GenerationRequest:
    if asked.stream:
        why = "Streaming is not offered here; leave `stream` out."
        raise InvalidRequest(why, fields={"/stream": why})
    fields: dict[str, Any] = asked.model_dump(
        exclude={"size", "response_format", "stream", "user", "model"}, exclude_none=True
    )
    if asked.model and not _ALIASES.fullmatch(asked.model):
        fields["model"] = asked.model
    if asked.user:
        fields["metadata"] = {"user": asked.user}
    if asked.size not in (None, "auto"):
        fields |= _sides(asked.size)
    try:
        return GenerationRequest.model_validate(fields)
    except ValidationError as error:
        raise bodies.invalid(error, GenerationRequest) from None


def _sides(size: str) -> dict[str, int]:
    if not (found := _SIZE.fullmatch(size)):
        why = "size is `auto` or WIDTHxHEIGHT, such as 512x512."
        raise InvalidRequest(why, fields={"/size": why})
    return {"width": int(found[1]), "height": int(found[2])}


async def _held(gateway: Gateway, request: Request, ref: JobRef) -> JobRecord:
    ended = asyncio.create_task(gateway.event_hub.ended(ref, within_s=PATIENCE_S))
    gone = asyncio.create_task(_gone(request))
    await asyncio.wait((ended, gone), return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    gone.cancel()
    record = await gateway.record(ref)
    if not record.state.is_terminal:
        # Its name is known to nobody else, so nobody will come for it.
        await gateway.ledger.run(commands.cancel(ref))
        if gateway.stopping.is_set():
            raise ShuttingDown
        raise Unavailable("The pictures were not ready in time; the job was canceled.")
    return record


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _failed(record: JobRecord) -> LatentryError:
    message = record.error.message if record.error else f"The job was {record.state}."
    is_late = record.state is JobStatus.EXPIRED  # another try may find a shorter line
    error = Unavailable(message) if is_late else JobFailed(message)
    error.code = record.error.code if record.error else record.state.value
    return error


def _by_value(gateway: Gateway, record: JobRecord) -> list[Picture]:
    return [
        Picture(b64_json=base64.b64encode(gateway.storage.get(image.key)).decode(), seed=image.seed)
        for image in record.images
    ]


def _told(job: Job, pictures: list[Picture]) -> Response:
    body = Images(
        created=int(job.created_at.timestamp()),
        data=pictures,
        output_format=job.request.output_format,
        size=f"{job.request.width}x{job.request.height}",
    )
    # A client that finds a `url` key takes it, even a null one.
    return Response(body.model_dump_json(exclude_none=True), media_type="application/json")
