"""Predictions as responses: JSON, with the images themselves where no URL would be read."""

from base64 import b64encode
from collections.abc import Mapping

from starlette.responses import Response, StreamingResponse

from latentry.contracts import StoredOutput
from latentry.ledger import JobRecord
from latentry.storage import Storage
from service.doors.answers import json_response
from service.doors.encoded import begun, between, read
from service.doors.replicate.responses import Prediction
from service.doors.replicate.views import prediction
from service.gateway import Gateway


def has_data_urls(gateway: Gateway) -> bool:
    """Whether images are sent as `data:` URLs: Replicate's clients make no file of an `http:` one.

    They send their API key along with whichever URL they read, so behind `https:` the URLs are the
    gateway's own, which ignores it: a bucket refuses a signed URL that comes with a key.
    """
    return gateway.settings.base_url.startswith("http:")


async def answer(
    gateway: Gateway,
    record: JobRecord,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    is_new: bool = False,
) -> Response:
    """One prediction. Raises FileNotFound or StorageUnavailable."""
    found = prediction(gateway, record, is_new=is_new)
    if not (found.output and has_data_urls(gateway)):
        return json_response(found, status, headers)
    written = await begun(between(gateway.storage, record.images, _around(record, found)))
    headers = {"Cache-Control": "no-store"} | dict(headers or {})
    return StreamingResponse(written, status, headers, media_type="application/json")


async def data_url(storage: Storage, image: StoredOutput) -> str:
    """An image itself as a URL. Raises FileNotFound or StorageUnavailable."""
    return _head(image) + b64encode(await read(storage, image)).decode()


def _around(record: JobRecord, found: Prediction) -> list[bytes]:
    """The prediction as JSON, its output first, without the base64 of the images."""
    heads = [_head(image) for image in record.images]
    starts = ['{"output":["' + heads[0], *(f'","{head}' for head in heads[1:])]
    rest = found.model_dump_json(exclude={"output"})
    return [*(start.encode() for start in starts), f'"],{rest[1:]}'.encode()]


def _head(image: StoredOutput) -> str:
    return f"data:{image.content_type};base64,"
