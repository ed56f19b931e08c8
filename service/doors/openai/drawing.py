"""OpenAI's request as a job, and the job's end as OpenAI's answer."""

from collections.abc import Awaitable
from typing import Final

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from latentry.contracts import JobStatus, ModelCard
from latentry.ledger import Accepted, CatalogueEntry, JobRecord
from service.access.auth import Caller
from service.doors.encoded import begun
from service.doors.ends import failed
from service.doors.naming import named_as_sent
from service.doors.openai.encoded import with_base64
from service.doors.openai.requests import AnyImagesRequest
from service.doors.openai.responses import Images, Picture
from service.doors.openai.sizes import drawn_size
from service.doors.openai.streaming import ImageStream
from service.doors.openai.translation import generation_request, names_a_model
from service.doors.openai.wanted import Wanted
from service.doors.sizes import Size, nearest, size_of
from service.doors.submit import submit
from service.doors.wait import created_and_ended_or_canceled
from service.gateway import Gateway
from service.http.body_room import release_body
from service.jobs.admission import choose
from service.jobs.ids import new_ref

WITHIN_S: Final = 600.0  # the default timeout of OpenAI's own clients


async def draw(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    reading: Awaitable[AnyImagesRequest],
    idempotency_key: str | None,
) -> Response:
    """Create the job, and answer when it has ended; a stream at once.

    `reading` gives the request, whose pictures nobody keeps while the client waits. The job is
    canceled if the client leaves, unless an idempotency key lets a repetition find it.
    """
    body = await reading
    wanted, keep = Wanted.of(body), idempotency_key is not None
    with named_as_sent(wanted.names):
        entry = await _entry(gateway, body)
        own = generation_request(body, entry, await _size(gateway, caller, body, entry.card))
    del body, reading
    ref = new_ref(caller.tenant)
    submission = submit(gateway, caller, own, idempotency_key, ref, is_low=wanted.is_low)
    submitted = _submitted(request, wanted, submission)
    del submission
    del own
    if wanted.is_stream:
        accepted = await submitted
        record = accepted.record or await gateway.record(accepted.ref)
        return ImageStream(gateway, record, wanted, keep=keep)
    record = await created_and_ended_or_canceled(
        gateway, request, ref, submitted, within_s=WITHIN_S, keep=keep
    )
    if record.state is not JobStatus.SUCCEEDED:
        raise failed(record)
    return await _answer(gateway, record, wanted)


async def _submitted(request: Request, wanted: Wanted, submission: Awaitable[Accepted]) -> Accepted:
    with named_as_sent(wanted.names):
        accepted = await submission
    del submission
    release_body(request)
    return accepted


async def _entry(gateway: Gateway, body: AnyImagesRequest) -> CatalogueEntry:
    model = gateway.settings.default_model
    if names_a_model(body):
        model = body.model or ""
    return choose(model, await gateway.catalogue.entries(including=model))


async def _size(
    gateway: Gateway, caller: Caller, body: AnyImagesRequest, card: ModelCard
) -> Size | None:
    """Width and height to draw; None for the model's own."""
    if body.size not in (None, "auto"):
        return drawn_size(body.size or "", card.limits, is_exact=names_a_model(body))
    # A part that is drawn by itself has the model's size, whatever the picture's is.
    if body.extend or body.inpaint_area or not (picture := body.pictures.get("image")):
        return None
    size = await size_of(gateway.files, caller.tenant, picture)
    return size and nearest(size, card.limits)


async def _answer(gateway: Gateway, record: JobRecord, wanted: Wanted) -> Response:
    if not wanted.is_base64:
        job = await gateway.views.job(record)
        data = [Picture(url=image.url, seed=image.seed) for image in job.images]
        # OpenAI's clients prefer a `url` key to `b64_json` even if it is null.
        text = Images.of(record, data, wanted).model_dump_json(exclude_none=True)
        return Response(text, headers=dict(wanted.headers), media_type="application/json")
    pieces = with_base64(gateway.storage, record.images, Images.of(record, [], wanted))
    return StreamingResponse(
        await begun(pieces), headers=dict(wanted.headers), media_type="application/json"
    )
