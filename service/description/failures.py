"""The failures of a route in the API document, in its door's own format: each status, each code."""

import http
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Scope

from latentry import errors
from latentry.errors import LatentryError
from service.description.operations import Operation
from service.description.refusals import refusals
from service.http.door import Door
from service.http.failures import failure

JOB_ID: Final = "gen_0f6a2c1d9b3e4857a6c1d2e3f4a5b6c7"
_SCOPE: Final[Scope] = {
    "type": "http",
    "method": "POST",
    "path": f"/v1/generations/{JOB_ID}",
    "headers": [],
    "query_string": b"",
    "state": {"request_id": "req_5f0c1e7ab29d48e6a3b1c4d2"},
}
_REPLACED: Final = ("422", "4XX", "5XX")  # FastAPI's, and what says nothing of codes
_WRONG: Final = "num_inference_steps: Input should be greater than or equal to 0."
_HEADERS: Final[Mapping[str, dict[str, Any]]] = {
    "retry-after": {
        "description": "Seconds after which the same request may succeed.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "x-should-retry": {
        "description": "`false` stops the retries of OpenAI's clients.",
        "schema": {"type": "string"},
    },
}


@dataclass(frozen=True, slots=True)
class Answer:
    """How a door answers an error."""

    status: int
    code: str
    message: str
    media_type: str
    body: Any
    headers: Mapping[str, dict[str, Any]]  # those that only some failures have


def add_failures(operation: Operation, components: dict[str, Any]) -> None:
    """Tell of every failure of the operation, with what it refers to among the components.

    Failures that are alike on many routes, with one code for a status, are components themselves.
    """
    by_status = defaultdict[str, dict[str, Answer]](dict)
    for kind in refusals(operation):
        answer = _answer(kind, operation.door)
        by_status[str(answer.status)][answer.code] = answer
    for status in _REPLACED:
        operation.spec["responses"].pop(status, None)
    prefix = f"{operation.door.failure.__name__}."
    for status, answers in sorted(by_status.items()):
        for code, one in answers.items():
            example = {"summary": one.message, "value": one.body}
            components["examples"][f"{prefix}{code}"] = example
        response = _response(operation.door, prefix, answers)
        if len(answers) == 1:
            name = f"{prefix}{next(iter(answers))}"
            components["responses"][name] = response
            response = {"$ref": f"#/components/responses/{name}"}
        operation.spec["responses"][status] = response


def _response(door: Door, prefix: str, answers: Mapping[str, Answer]) -> dict[str, Any]:
    first = next(iter(answers.values()))
    schema = {"$ref": f"#/components/schemas/{door.failure.__name__}"}
    examples = {code: {"$ref": f"#/components/examples/{prefix}{code}"} for code in sorted(answers)}
    headers = {name: what for one in answers.values() for name, what in one.headers.items()}
    named = ", ".join(f"`{code}`" for code in examples)
    found: dict[str, Any] = {
        "description": f"{http.HTTPStatus(first.status).phrase}: {named}.",
        "content": {first.media_type: {"schema": schema, "examples": examples}},
    }
    return found | ({"headers": headers} if headers else {})


def _answer(kind: type[LatentryError], door: Door) -> Answer:
    what = failure(_instance(kind))
    response: Response = door.dialect(what, _SCOPE)
    present = {name.lower() for name in response.headers}
    return Answer(
        status=response.status_code,
        code=what.code,
        message=what.detail,
        media_type=response.headers["content-type"].partition(";")[0],
        body=json.loads(bytes(response.body)),
        headers={name: said for name, said in _HEADERS.items() if name in present},
    )


def _instance(kind: type[LatentryError]) -> LatentryError:
    if kind is errors.InvalidRequest:
        pointer, _, why = _WRONG.partition(": ")
        return errors.InvalidRequest(_WRONG, fields={f"/{pointer}": why})
    return kind()
