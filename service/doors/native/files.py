"""`/v1/files`: pictures that callers keep here for a while."""

import asyncio
import re
import secrets
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from latentry.contracts import File, OutputFormat
from latentry.errors import FileNotFound, LatentryError, UnsupportedMediaType
from latentry.ledger import files
from latentry.storage import key_of, prefix_of
from service.access.auth import Caller, MayUpload
from service.doors.answers import PROBLEMS, json_response
from service.gateway import Gateway, Here
from service.http.accept import AnswersJson
from service.intake import multipart

PATH: Final = "/v1/files"
# What a multipart body may have around its picture.
AROUND_IMAGE_BYTES: Final = 16 * 1024

router = APIRouter(prefix=PATH, tags=["files"], responses=PROBLEMS)

_ID: Final = re.compile(files.PREFIX + r"[0-9a-f]{32}")
_KEPT_AS: Final = OutputFormat.PNG
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}
_FORM: Final = {
    "schema": {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    }
}
_TYPES: Final = (*(form.content_type for form in OutputFormat), "application/octet-stream")
_ASKS: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": _FORM} | dict.fromkeys(_TYPES, _BYTES),
    }
}
_TAKES: Final = (
    "The body must be a PNG, JPEG or WebP picture with its media type, or multipart/form-data with"
    " a picture as `file`; without a content encoding."
)
_CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {_KEPT_AS.content_type: _BYTES}}
}


@router.post(
    "", status_code=201, response_model=File, openapi_extra=_ASKS, dependencies=[AnswersJson]
)
async def create_file(gateway: Here, caller: MayUpload, request: Request) -> Response:
    """Keep a picture: PNG, JPEG or WebP, as the body or as a form's `file`.

    It is decoded, turned upright, and encoded anew as PNG; nothing else of it is kept.
    """
    picture = await gateway.intake.take(await _sent(request))
    ref = files.FileRef(caller.tenant, f"{files.PREFIX}{secrets.token_hex(16)}")
    new = files.NewFile(ref, len(picture.png), picture.sha256, picture.width, picture.height)
    settings = gateway.settings
    # The bytes first: what the ledger names exists.
    await asyncio.to_thread(gateway.storage.put, _key(ref), picture.png)
    try:
        record = await gateway.ledger.run(
            files.keep(
                new,
                ttl_ms=settings.file_ttl_s * 1000,
                max_files=settings.max_files,
                max_bytes=settings.max_files_bytes,
            )
        )
    except LatentryError:
        await _remove(gateway, ref)
        raise
    return json_response(_view(record), 201, {"Location": f"{settings.base_url}{PATH}/{ref.id}"})


@router.get("/{file_id}", response_model=File, dependencies=[AnswersJson])
async def get_file_record(gateway: Here, caller: MayUpload, file_id: str) -> Response:
    """What is known of one file."""
    return json_response(_view(await _record(gateway, caller, file_id)))


@router.get("/{file_id}/content", response_class=Response, responses=_CONTENT)
async def get_file_content(gateway: Here, caller: MayUpload, file_id: str) -> Response:
    """The picture itself."""
    record = await _record(gateway, caller, file_id)
    data = await asyncio.to_thread(gateway.storage.get, _key(record.ref))
    headers = {
        "Content-Disposition": f'attachment; filename="{record.ref.id}{_KEPT_AS.suffix}"',
        "Cache-Control": "private, no-store",
        "Accept-Ranges": "none",
    }
    return Response(data, headers=headers, media_type=_KEPT_AS.content_type)


@router.delete("/{file_id}", status_code=204)
async def delete_file(gateway: Here, caller: MayUpload, file_id: str) -> Response:
    """Remove a file. One that is gone already is not found."""
    await _remove(gateway, (await _record(gateway, caller, file_id)).ref)
    return Response(status_code=204)


async def _sent(request: Request) -> bytes:
    # The type says how the picture is wrapped; what it is, its bytes say.
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType(_TAKES)
    body = await request.body()
    if kind == "multipart/form-data":
        return multipart.field(body, content_type, "file")
    if kind not in _TYPES:
        raise UnsupportedMediaType(_TAKES)
    return body


async def _record(gateway: Gateway, caller: Caller, file_id: str) -> files.FileRecord:
    known = _ID.fullmatch(file_id)
    ref = files.FileRef(caller.tenant, file_id)
    record = await gateway.ledger.run(files.get(ref)) if known else None
    if record is None:
        raise FileNotFound
    return record


async def _remove(gateway: Gateway, ref: files.FileRef) -> None:
    # The bytes first: a caller who is told of a failure here can still ask again.
    await asyncio.to_thread(gateway.storage.delete_prefix, prefix_of(ref.tenant, ref.id))
    await gateway.ledger.run(files.forget(ref))


def _key(ref: files.FileRef) -> str:
    return key_of(ref.tenant, ref.id, fence=0, index=0, suffix=_KEPT_AS.suffix)


def _view(record: files.FileRecord) -> File:
    return File(
        id=record.ref.id,
        bytes=record.bytes,
        width=record.width,
        height=record.height,
        content_type=_KEPT_AS.content_type,
        sha256=record.sha256,
        created_at=datetime.fromtimestamp(record.created_ms / 1000, UTC),
        expires_at=datetime.fromtimestamp(record.expires_ms / 1000, UTC),
    )
