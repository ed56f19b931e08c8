"""What the routes' answers have in common."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from starlette.responses import Response

from latentry.contracts.problems import PROBLEM_JSON


def json_response(
    body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A contract as JSON. Not to be cached: it changes, and it is full of signed URLs."""
    return Response(
        body.model_dump_json(),
        status,
        {"Cache-Control": "no-store"} | dict(headers or {}),
        media_type="application/json",
    )


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """For the API's description: a body that the route parses by itself."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    example = {"prompt": "a red circle on a blue background"}
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


_PROBLEM: Final = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
# For the API's description: every route may answer so.
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"description": "What was asked cannot be; `code` says why.", "content": _PROBLEM},
    "5XX": {"description": "Our fault; `Retry-After` says when to try again.", "content": _PROBLEM},
}
