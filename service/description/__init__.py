"""The OpenAPI document: FastAPI's, and what it cannot know of routes that read and write bodies."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from latentry.settings import Settings
from service.description.examples import add_examples
from service.description.failures import add_failures
from service.description.operations import Operation, operations
from service.http.door import Door

# What FastAPI says of wrong parameters, which we answer as all other failures.
_FRAMEWORK_S: Final = ("HTTPValidationError", "ValidationError")
_REF: Final = "#/components/schemas/{model}"


def install(app: FastAPI, doors: Sequence[Door], settings: Settings) -> None:
    """Make `/openapi.json` complete."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                servers=[{"url": settings.base_url}] if settings.public_url else None,
                tags=[
                    {"name": name, "description": about}
                    for door in doors
                    for name, about in door.tags.items()
                ],
            )
            complete(document, doors)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def complete(document: dict[str, Any], doors: Sequence[Door]) -> None:
    """Add schemas, failures and examples to FastAPI's document of these doors."""
    components = document["components"]
    for door in doors:
        for model in (*door.models, door.failure):
            schema = model.model_json_schema(ref_template=_REF)
            for name, part in (schema.pop("$defs", {}) | {model.__name__: schema}).items():
                components["schemas"].setdefault(name, part)
    components |= {"examples": {}, "responses": {}}
    for name in _FRAMEWORK_S:
        components["schemas"].pop(name, None)
    for operation in operations(document, doors):
        _make_key_optional(operation)
        add_examples(operation)
        add_failures(operation, components)


def _make_key_optional(operation: Operation) -> None:
    # Whether a key is required depends on the deployment (LATENTRY_AUTH).
    if operation.needs_key:
        operation.spec["security"].append({})


__all__ = ["complete", "install"]
