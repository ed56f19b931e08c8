"""The part of the API document that is our own: what the SDKs are made of."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from latentry.settings import Settings
from service.doors import native

Document = dict[str, Any]
_REFERENCE: Final = '"#/components/schemas/'


def native_part(document: Mapping[str, Any]) -> Document:
    """The routes of the native door, with the schemas that they use."""
    door = native.door(Settings())
    ours = {path for router in door.routers for path in _paths(router.routes)}
    paths = {path: routes for path, routes in document["paths"].items() if path in ours}
    # Some are of no route's body, such as the events of a stream.
    described = {model.__name__ for model in door.models}
    schemas = _used(described | _references(paths), document["components"]["schemas"])
    return {**document, "paths": paths, "components": document["components"] | {"schemas": schemas}}


def operations(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The method and the path of each operation, by its id."""
    return {
        route["operationId"]: (method.upper(), path)
        for path, routes in document["paths"].items()
        for method, route in routes.items()
    }


def _paths(routes: list[Any]) -> Iterator[str]:
    """As the document writes them: `{key:path}` is `{key}`."""
    return (route.path_format for route in routes if route.include_in_schema)


def _used(names: set[str], schemas: Document) -> Document:
    """The schemas of these names, and all that they refer to."""
    found, new = set[str](), names
    while new:
        found |= new
        new = set[str]().union(*(_references(schemas[name]) for name in new)) - found
    return {name: schema for name, schema in schemas.items() if name in found}


def _references(value: Any) -> set[str]:
    """The names of the schemas that a part of a document refers to."""
    parts = json.dumps(value).split(_REFERENCE)[1:]
    return {part.partition('"')[0] for part in parts}
