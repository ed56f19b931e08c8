"""`/replicate/v1/files`: callers' pictures, as Replicate's clients upload and name them."""

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from latentry.contracts import OutputFormat
from latentry.errors import UnsupportedMediaType
from latentry.ledger.files import FileRecord, list_files
from service.doors.answers import PICTURE, json_response
from service.doors.replicate.access import MayUpload
from service.doors.replicate.examples import TAG
from service.doors.replicate.responses import Checksums, FileUrls, Page, ReplicateFile
from service.doors.replicate.views import PREFIX
from service.gateway import Gateway, GatewayDep
from service.intake import multipart

PATH: Final = f"{PREFIX}/v1/files"
FORM_OVERHEAD_BYTES: Final = 64 * 1024  # boundaries, part headers, and the metadata
_MOST: Final = 1_000
_STORED_AS: Final = OutputFormat.PNG
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"content": {"type": "string", "format": "binary"}},
                    "required": ["content"],
                },
                "example": {"content": PICTURE},
            }
        },
    }
}

router = APIRouter(tags=[TAG])


@router.post(PATH, status_code=201, response_model=ReplicateFile, openapi_extra=_FORM)
async def create_replicate_file(
    gateway: GatewayDep, caller: MayUpload, request: Request
) -> Response:
    """Upload a picture as the form part `content`; other parts are ignored.

    Its `urls.get` names it in a prediction's input, as does its id. It is one of the tenant's files
    of `POST /v1/files`, and expires as they do.
    """
    content_type = request.headers.get("content-type", "")
    encoding = request.headers.get("content-encoding", "identity").lower()
    if not content_type.lower().startswith("multipart/form-data") or encoding != "identity":
        raise UnsupportedMediaType("The body must be multipart/form-data, without an encoding.")
    picture = multipart.field(await request.body(), content_type, "content")
    record = await gateway.files.keep(caller.tenant, picture)
    return json_response(_view(gateway, record), 201)


@router.get(PATH, response_model=Page[ReplicateFile])
async def list_replicate_files(gateway: GatewayDep, caller: MayUpload) -> Response:
    """List the tenant's files, the newest first, at most 1,000."""
    records = await gateway.ledger.run(list_files(caller.tenant, _MOST))
    return json_response(Page(results=[_view(gateway, record) for record in records]))


@router.get(PATH + "/{file_id}", response_model=ReplicateFile)
async def get_replicate_file(gateway: GatewayDep, caller: MayUpload, file_id: str) -> Response:
    """Get a file's size, hash and expiry."""
    return json_response(_view(gateway, await gateway.files.record(caller.tenant, file_id)))


@router.delete(PATH + "/{file_id}", status_code=204)
async def delete_replicate_file(gateway: GatewayDep, caller: MayUpload, file_id: str) -> Response:
    """Delete a file. Predictions that use it keep it until they end."""
    record = await gateway.files.record(caller.tenant, file_id)
    await gateway.files.delete(record.ref)
    return Response(status_code=204)


def _view(gateway: Gateway, record: FileRecord) -> ReplicateFile:
    id = record.ref.id
    return ReplicateFile(
        id=id,
        name=f"{id}{_STORED_AS.suffix}",
        content_type=_STORED_AS.content_type,
        size=record.bytes,
        etag=record.sha256,
        checksums=Checksums(sha256=record.sha256),
        created_at=datetime.fromtimestamp(record.created_ms / 1000, UTC),
        expires_at=datetime.fromtimestamp(record.expires_ms / 1000, UTC),
        urls=FileUrls(get=f"{gateway.settings.base_url}{PATH}/{id}"),
    )
