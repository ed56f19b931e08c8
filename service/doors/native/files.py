"""`/v1/files`: callers' own pictures, kept until they expire."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from latentry.contracts import File, FileList, OutputFormat
from latentry.errors import UnsupportedMediaType
from latentry.ledger.files import FileRecord
from service.access.auth import MayUpload
from service.doors.answers import BINARY, Responses, json_response
from service.doors.native.pages import cursors
from service.doors.native.pages.query import PageQuery
from service.doors.native.tags import Tag
from service.gateway import GatewayDep
from service.http.accept import ACCEPTS_JSON
from service.intake import multipart

PATH: Final = "/v1/files"
# Boundaries and part headers of a multipart body, in addition to the picture.
FORM_OVERHEAD_BYTES: Final = 16 * 1024
_FIRST_PAGE: Final = PageQuery()

router = APIRouter(prefix=PATH, tags=[Tag.FILES])

_STORED_AS: Final = OutputFormat.PNG
FORM: Final = {
    "schema": {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    },
    "example": {"file": "the bytes of photo.png"},
}
_MEDIA_TYPES: Final = (*(form.content_type for form in OutputFormat), "application/octet-stream")
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": FORM} | dict.fromkeys(_MEDIA_TYPES, BINARY),
    }
}
_EXPECTED: Final = (
    "The body must be a PNG, JPEG or WebP picture with its media type, or multipart/form-data with"
    " the picture in the part `file`, without a content encoding."
)
_CONTENT: Final[Responses] = {200: {"content": {_STORED_AS.content_type: BINARY}}}


@router.post(
    "", status_code=201, response_model=File, openapi_extra=_BODY, dependencies=[ACCEPTS_JSON]
)
async def create_file(gateway: GatewayDep, caller: MayUpload, request: Request) -> Response:
    """Upload a picture: PNG, JPEG or WebP, as the body or as the form part `file`.

    The picture is decoded, rotated as its EXIF orientation says and stored as PNG, without any
    metadata but a C2PA manifest of its own, which goes into what is made of it.
    """
    record = await gateway.files.keep(caller.tenant, await picture_bytes(request))
    location = f"{gateway.settings.base_url}{PATH}/{record.ref.id}"
    return json_response(_view(record), 201, {"Location": location})


@router.get("", response_model=FileList, dependencies=[ACCEPTS_JSON])
async def list_files(
    gateway: GatewayDep, caller: MayUpload, query: Annotated[PageQuery, Query()] = _FIRST_PAGE
) -> Response:
    """List the tenant's files, those that expire last first."""
    after = cursors.parse_file(query.cursor)
    records, has_more = await gateway.files.page(caller.tenant, after, query.limit)
    last = records[-1] if records and has_more else None
    more = cursors.file_cursor(last.expires_ms, last.ref.id) if last else None
    return json_response(FileList(data=list(map(_view, records)), next_cursor=more))


@router.get("/{file_id}", response_model=File, dependencies=[ACCEPTS_JSON])
async def get_file_record(gateway: GatewayDep, caller: MayUpload, file_id: str) -> Response:
    """Get a file's size, hash and expiry."""
    return json_response(_view(await gateway.files.record(caller.tenant, file_id)))


@router.get("/{file_id}/content", response_class=Response, responses=_CONTENT)
async def get_file_content(gateway: GatewayDep, caller: MayUpload, file_id: str) -> Response:
    """Download the stored picture."""
    record = await gateway.files.record(caller.tenant, file_id)
    data = await gateway.files.content(record.ref)
    headers = {
        "Content-Disposition": f'attachment; filename="{record.ref.id}{_STORED_AS.suffix}"',
        "Cache-Control": "private, no-store",
        "Accept-Ranges": "none",
    }
    return Response(data, headers=headers, media_type=_STORED_AS.content_type)


@router.delete("/{file_id}", status_code=204)
async def delete_file(gateway: GatewayDep, caller: MayUpload, file_id: str) -> Response:
    """Delete a file. Jobs that use it keep it until they end."""
    record = await gateway.files.record(caller.tenant, file_id)
    await gateway.files.delete(record.ref)
    return Response(status_code=204)


async def picture_bytes(request: Request, others: Sequence[str] = ()) -> bytes:
    """The picture of a body that is one or has one as a form's part. Raises UnsupportedMediaType.

    `others`: more media types that are accepted.
    """
    # The media type tells a form from a plain body; the picture's format is read from its bytes.
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType(_EXPECTED)
    body = await request.body()
    if kind == "multipart/form-data":
        return multipart.field(body, content_type, "file")
    if kind not in (*_MEDIA_TYPES, *others):
        raise UnsupportedMediaType(_EXPECTED)
    return body


def _view(record: FileRecord) -> File:
    return File(
        id=record.ref.id,
        bytes=record.bytes,
        width=record.width,
        height=record.height,
        content_type=_STORED_AS.content_type,
        sha256=record.sha256,
        pixel_sha256=record.pixel_sha256,
        c2pa=record.c2pa,
        created_at=datetime.fromtimestamp(record.created_ms / 1000, UTC),
        expires_at=datetime.fromtimestamp(record.expires_ms / 1000, UTC),
    )
