"""The OpenAPI document: FastAPI's, with the bodies that routes parse themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from latentry.contracts import Event, GenerationRequest, Problem
from service.doors.openai.dialect import ImagesRequest

_REF = "#/components/schemas/{model}"


def install(app: FastAPI) -> None:
    """Let `/openapi.json` say it all."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            schemas = document["components"]["schemas"]
            for model in (GenerationRequest, ImagesRequest, Problem, Event):
                schema = model.model_json_schema(ref_template=_REF)
                for name, part in (schema.pop("$defs", {}) | {model.__name__: schema}).items():
                    schemas.setdefault(name, part)
            _let_keys_be_optional(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _let_keys_be_optional(document: dict[str, Any]) -> None:
    # An operation names the key it takes; whether it must be there is the deployment's matter.
    for operations in document["paths"].values():
        for operation in operations.values():
            if "security" in operation:
                operation["security"].append({})
