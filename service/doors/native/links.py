"""`/v1/files/{key}`: a job's pictures by a URL that the gateway signed.

That is all URLs where the storage cannot sign them itself, and those that must bear an API key.
"""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from latentry.contracts import ClipFormat, OutputFormat
from latentry.storage import content_type_of
from service.doors.answers import BINARY, Responses
from service.doors.native.tags import Tag
from service.gateway import GatewayDep

router = APIRouter(prefix="/v1/files", tags=[Tag.FILES])

_PICTURE: Final[Responses] = {
    200: {"content": {form.content_type: BINARY for form in (*OutputFormat, *ClipFormat)}}
}


@router.get("/{key:path}", response_class=Response, responses=_PICTURE)
async def get_file(
    gateway: GatewayDep,
    key: str,
    exp: Annotated[str, Query(description="Expiry in Unix seconds.")] = "",
    sig: Annotated[str, Query(description="Signature.")] = "",
) -> Response:
    """Download a picture by the signed URL in a job; read the job again when it has expired."""
    gateway.links.check(key, exp, sig)
    size, pieces = await asyncio.to_thread(gateway.storage.pieces, key)
    name = key.replace("/", "-")
    headers = {
        # Browsers must never render it as a page, whatever text the picture contains.
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, max-age=31536000, immutable",
        "Accept-Ranges": "none",
        "Content-Length": str(size),
    }
    # Piece by piece: a clip of large frames may have hundreds of megabytes.
    return StreamingResponse(pieces, headers=headers, media_type=content_type_of(key))
