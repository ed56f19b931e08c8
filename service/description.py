"""The OpenAPI document: FastAPI's, and the bodies that routes parse or write themselves."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from latentry.settings import Settings
from service.http.door import Door

_REF = "#/components/schemas/{model}"


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
            )
            schemas = document["components"]["schemas"]
            for model in (model for door in doors for model in door.models):
                schema = model.model_json_schema(ref_template=_REF)
                for name, part in (schema.pop("$defs", {}) | {model.__name__: schema}).items():
                    schemas.setdefault(name, part)
            _make_keys_optional(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _make_keys_optional(document: dict[str, Any]) -> None:
    # Whether a key is required depends on the deployment (LATENTRY_AUTH).
    for operations in document["paths"].values():
        for operation in operations.values():
            if "security" in operation:
                operation["security"].append({})
