"""`POST /v1/verify`: what a picture says of its origin, and whether that holds."""

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from latentry.contracts import ClipFormat, OutputFormat, Verification, VerifyRequest
from service.access.auth import MayRead
from service.doors.answers import BINARY, PICTURE, json_response
from service.doors.native.files import FORM, picture_bytes
from service.doors.native.tags import Tag
from service.gateway import GatewayDep
from service.http import bodies
from service.http.accept import ACCEPTS_JSON

PATH: Final = "/v1/verify"
_JSON: Final = "application/json"
_SCHEMA: Final = {"$ref": f"#/components/schemas/{VerifyRequest.__name__}"}
_NAMED: Final = {"schema": _SCHEMA, "example": {"image": PICTURE}}
_MEDIA_TYPES: Final = tuple(
    dict.fromkeys(form.content_type for form in (*OutputFormat, *ClipFormat))
)
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {_JSON: _NAMED, "multipart/form-data": FORM}
        | dict.fromkeys((*_MEDIA_TYPES, "application/octet-stream"), BINARY),
    }
}

router = APIRouter(tags=[Tag.PROVENANCE], dependencies=[ACCEPTS_JSON])


@router.post(PATH, response_model=Verification, openapi_extra=_BODY)
async def verify(gateway: GatewayDep, caller: MayRead, request: Request) -> Response:
    """Examine a picture or clip: C2PA manifest, XMP, infotext, and whether this service made it.

    The body is `{"image": …}` as requests name pictures, the file itself, or a form with the part
    `file`. Nothing is kept.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == _JSON:
        body = await bodies.parse(request, VerifyRequest)
        found = await gateway.verifier.named(caller.tenant, body.image)
    else:
        found = await gateway.verifier.sent(
            caller.tenant, await picture_bytes(request, _MEDIA_TYPES)
        )
    return json_response(found)
