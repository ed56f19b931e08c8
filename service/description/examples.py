"""What bodies and parameters look like: examples of the API document, from a door's models."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from service.description.failures import JOB_ID
from service.description.operations import Operation, Schema, named

_BY_PARAMETER: Final[Mapping[str, str]] = {
    "job_id": JOB_ID,
    "delivery_id": "msg_5d1e8f27c4a94b06b3d2",
    "file_id": "file_7b0e4c92d1a84f35b6e7a8c9d0e1f2a3",
    "model_id": "shapes",
    "Idempotency-Key": "order-17",
    "Prefer": "wait=30",
}


def add_examples(operation: Operation) -> None:
    """Add those that its routes have not written themselves."""
    for _, content in operation.answers:
        if not content.keys() & {"example", "examples"}:
            content |= _of(content.get("schema", {}), operation.door.examples)
    for place in ("path", "header"):
        for name, parameter in operation.parameters(place).items():
            if name in _BY_PARAMETER:
                parameter["example"] = _BY_PARAMETER[name]


def _of(schema: Schema, known: Mapping[str, BaseModel]) -> dict[str, Any]:
    found = {name: known[name] for name in _named(schema) if name in known}
    if len(found) == 1:
        [model] = found.values()
        return {"example": _json(model)}
    if found:
        return {"examples": {name: {"value": _json(model)} for name, model in found.items()}}
    return {}


def _named(schema: Schema) -> Iterator[str]:
    for one in (schema, *schema.get("anyOf", ())):
        if name := named(one):
            yield name


def _json(model: BaseModel) -> Any:
    return model.model_dump(mode="json", by_alias=True)
