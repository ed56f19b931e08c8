"""A body of `txt2img` or `img2img` as a job, and the job's end as the answer."""

from collections.abc import Awaitable, Mapping
from time import perf_counter
from typing import Final

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from latentry.contracts import JobStatus
from latentry.ledger import Accepted, JobRecord
from service.access.auth import Caller
from service.doors.automatic1111.answers.generations import Wanted, around_images
from service.doors.automatic1111.answers.processed import pictures
from service.doors.automatic1111.instance import Instance
from service.doors.automatic1111.requests.generations import AnyGeneration, Img2Img
from service.doors.automatic1111.requests.options import Options
from service.doors.automatic1111.translation.generation import Translated, translated
from service.doors.encoded import begun, between
from service.doors.ends import failed
from service.doors.naming import named_as_sent
from service.doors.sizes import Size, size_of
from service.doors.submit import submit
from service.doors.wait import created_and_ended_or_canceled
from service.gateway import Gateway
from service.http.body_room import release_body
from service.jobs.ids import new_ref

WITHIN_S: Final = 3_600.0  # its clients wait without a limit
TIME: Final = "X-Process-Time"
_OF_REQUEST: Final = {name: f"override_settings/{name}" for name in Options.model_fields}
# An interrupted job has the images that it finished before, as there.
_ANSWERED: Final = (JobStatus.SUCCEEDED, JobStatus.CANCELED)


async def draw(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    reading: Awaitable[AnyGeneration],
    idempotency_key: str | None,
) -> Response:
    """Create the job, and answer when it has ended.

    It is canceled if the client leaves, unless an idempotency key lets a repetition find it.
    """
    began = perf_counter()
    instance = Instance.of(gateway, caller)
    body = await reading
    options, task_id = await _options(instance, body), body.force_task_id
    own = await _translated(instance, body, options)
    wanted = Wanted.of(body, () if options.control_net_no_detectmap else own.maps)
    await _set_what_stays(instance, body)  # of a request that is refused, none does
    del body, reading  # nobody keeps its pictures while the client waits
    ref, names = new_ref(caller.tenant), own.names
    submission = submit(gateway, caller, own.request, idempotency_key, ref)
    del own
    submitted = _submitted(request, instance, names, submission, task_id)
    del submission
    keep = idempotency_key is not None
    record = await created_and_ended_or_canceled(
        gateway, request, ref, submitted, within_s=WITHIN_S, keep=keep
    )
    if record.state not in _ANSWERED:
        raise failed(record)
    return await _answer(gateway, record, wanted, {TIME: f"{perf_counter() - began:.4f}"})


async def _options(instance: Instance, body: AnyGeneration) -> Options:
    """The key's options with those of the request."""
    options = await instance.options()
    with named_as_sent(_OF_REQUEST):
        return options.with_these(body.override_settings) if body.override_settings else options


async def _set_what_stays(instance: Instance, body: AnyGeneration) -> None:
    if body.override_settings and not body.override_settings_restore_afterwards:
        with named_as_sent(_OF_REQUEST):
            await instance.set(body.override_settings)


async def _translated(instance: Instance, body: AnyGeneration, options: Options) -> Translated:
    entry = await instance.entry(options.sd_model_checkpoint)
    return translated(body, options, entry.card, await _size(instance, body))


async def _size(instance: Instance, body: AnyGeneration) -> Size | None:
    """Of the picture that it brings, where it says no size of its own."""
    has_size = body.width is not None and body.height is not None
    if has_size or not isinstance(body, Img2Img) or not body.init_images:
        return None
    return await size_of(instance.gateway.files, instance.ref.tenant, body.init_images[0])


async def _submitted(
    request: Request,
    instance: Instance,
    names: Mapping[str, str],
    submission: Awaitable[Accepted],
    task_id: str | None,
) -> Accepted:
    with named_as_sent(names):
        accepted = await submission
    del submission
    release_body(request)
    await instance.enter(accepted.ref, task_id)
    return accepted


async def _answer(
    gateway: Gateway, record: JobRecord, wanted: Wanted, headers: Mapping[str, str]
) -> Response:
    images = pictures(record, wanted.maps) if wanted.sends else []
    texts, headers = around_images(record, wanted, images), {**wanted.headers, **headers}
    if not images:
        return Response(texts[0], headers=headers, media_type="application/json")
    pieces = between(gateway.storage, images, texts)
    return StreamingResponse(await begun(pieces), headers=headers, media_type="application/json")
