"""Responses and their descriptions, shared by the routes of several doors."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from starlette.responses import Response

# OpenAPI responses by status, as FastAPI takes them.
Responses = dict[int | str, dict[str, Any]]


def json_response(
    body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A contract as JSON. Never cached: jobs change, and their URLs are signed and expire."""
    return json_text(body.model_dump_json(), status, headers)


def json_text(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The same of what is JSON already."""
    return Response(
        text,
        status,
        {"Cache-Control": "no-store"} | dict(headers or {}),
        media_type="application/json",
    )


# For the API document: a circle of 128 × 128 pixels, as requests have pictures.
PICTURE: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAIAAAACAAQAAAADrRVxmAAAAvklEQVR42u2UMQ6DMAxF"
    "QQyMOQJHydHo0ThKj8CYAcU0TQ3ffKEg1KGV4s1v8I8c/980tf6qRB6mdyLBgFFEsG9fvUwA+gRmAEMCCwCfQDzMxKnv"
    "mTi1y+BpRVDGZRCsKur6DOJBFXQJfPptJa2Cyb5rfxmBXsF8BpyCcAYGBctl4BXE+0DXsS2kAgu+seQbf1s+mPLRlQ+X"
    "bp3ccMFA5DlyJfmWnE3ep3Sg/OCEoQyilKIco6TjLKS0rPVjtQJ8CWUTy4sKzgAAAABJRU5ErkJggg=="
)
_EXAMPLE: Final = {"prompt": "a red circle on a blue background"}


def body_schema(model: type[BaseModel], example: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The OpenAPI request body of a route that parses its JSON itself."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    example = example or _EXAMPLE
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


# For the API document: a picture as a request or response body.
BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}


def example(body: Any) -> Responses:
    """For the API document: what a route answers that has no model."""
    return {200: {"content": {"application/json": {"example": body}}}}
