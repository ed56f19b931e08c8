"""Responses and their descriptions, shared by the routes of several doors."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from starlette.responses import Response

from latentry.contracts.problems import PROBLEM_JSON

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


_EXAMPLE: Final = {"prompt": "a red circle on a blue background"}


def body_schema(model: type[BaseModel], example: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The OpenAPI request body of a route that parses its JSON itself."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    example = example or _EXAMPLE
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


# For the API document: a picture as a request or response body.
BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
_PROBLEM: Final = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
# OpenAPI: the failures that every native route may respond with.
PROBLEMS: Final[Responses] = {
    "4XX": {"description": "The request was refused; `code` says why.", "content": _PROBLEM},
    "5XX": {
        "description": "The service failed; retry after `Retry-After` seconds if given.",
        "content": _PROBLEM,
    },
}
