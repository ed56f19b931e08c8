"""The part of the API document that is our own: what the SDKs are made of."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from latentry.settings import Settings
from service.doors import native

Document = dict[str, Any]
_REFERENCE: Final = re.compile(r'"#/components/(\w+)/([^"]+)"')


def native_part(document: Mapping[str, Any]) -> Document:
    """The routes of the native door, with the components that they use."""
    door = native.door(Settings())
    ours = {path for router in door.routers for path in _paths(router.routes)}
    paths = {path: routes for path, routes in document["paths"].items() if path in ours}
    # Some are of no route's body, such as the events of a stream.
    described = {("schemas", model.__name__) for model in door.models}
    components = _used(described | _references(paths), document["components"])
    return {**document, "paths": paths, "components": components}


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


def _used(named: set[tuple[str, str]], components: Document) -> Document:
    """The components of these kinds and names, and all that they refer to."""
    found, new = set[tuple[str, str]](), named
    while new:
        found |= new
        new = set[tuple[str, str]]().union(
            *(_references(components[kind][name]) for kind, name in new)
        )
        new -= found
    used = {
        kind: {name: one for name, one in parts.items() if (kind, name) in found}
        for kind, parts in components.items()
    }
    return used | {"securitySchemes": components["securitySchemes"]}


def _references(value: Any) -> set[tuple[str, str]]:
    """The kinds and names of the components that a part of a document refers to."""
    return set(_REFERENCE.findall(json.dumps(value)))
