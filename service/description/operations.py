"""An operation of the API document, with the route that it tells of and the route's door."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import params
from fastapi.routing import APIRoute

from service.http.accept import accept_json
from service.http.door import Door

Schema = Mapping[str, Any]
_IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_ENDS_WITH: Final = "Request"


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and gives. `spec` is its part of the document, which may be changed."""

    door: Door
    route: APIRoute
    spec: dict[str, Any]
    schemas: Mapping[str, Schema]

    @property
    def needs_key(self) -> bool:
        """Whether its caller is authenticated."""
        return "security" in self.spec

    @property
    def is_deletion(self) -> bool:
        """Whether it deletes something."""
        return self.route.methods == {"DELETE"}

    @property
    def accepts_json_only(self) -> bool:
        """Whether a client must accept JSON."""
        return any(_call(one) is accept_json for one in self.route.dependencies)

    @property
    def is_idempotent(self) -> bool:
        """Whether it takes an idempotency key, as all do that create jobs."""
        return _IDEMPOTENCY_KEY in self.parameters("header")

    @property
    def creates_a_job(self) -> bool:
        """Whether the body is one job's request; of several, each is refused by itself."""
        return self.is_idempotent and "priority" in self.fields

    @property
    def is_large(self) -> bool:
        """Whether its bodies count for the memory that all large ones share."""
        covers = (body.covers(self.route.path_format) for body in self.door.large_bodies)
        return bool(self.body) and any(covers)

    @property
    def body(self) -> Mapping[str, dict[str, Any]]:
        """The request's body by media type."""
        content: Mapping[str, dict[str, Any]]
        content = self.spec.get("requestBody", {}).get("content", {})
        return content

    @property
    def answers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The bodies of its successful answers: media type and what is said of it."""
        for status, answer in self.spec["responses"].items():
            if str(status).startswith("2"):
                yield from answer.get("content", {}).items()

    @property
    def sends_pictures(self) -> bool:
        """Whether its answer is a picture."""
        return any(media.startswith("image/") for media, _ in self.answers)

    @property
    def takes_pictures(self) -> bool:
        """Whether its body is a picture, or a form that may have one."""
        return any(media.startswith(("image/", "multipart/")) for media in self.body)

    @property
    def is_upload(self) -> bool:
        """Whether it keeps the picture that its body is."""
        return self.takes_pictures and "image" not in self.fields

    @property
    def examines_pictures(self) -> bool:
        """Whether its body is a picture, or the name of one, that it only looks at."""
        return "image" in self.fields and not self.is_idempotent

    @property
    def is_readiness(self) -> bool:
        """Whether it tells load balancers where to send requests."""
        return self.route.path_format == "/readyz"

    @property
    def reads_query(self) -> bool:
        """Whether it has a query that may be wrong; any text is right for some."""
        schemas = [one["schema"] for one in self.parameters("query").values()]
        return any(schema.get("type") != "string" for schema in schemas)

    @property
    def fields(self) -> frozenset[str]:
        """The fields of its JSON or form, those of requests within it, and what these become."""
        named = {field for content in self.body.values() for field in self._fields(content)}
        if self.is_idempotent and self.door.makes:
            named |= self.door.makes.model_fields.keys()
        return frozenset(named)

    def parameters(self, place: str) -> dict[str, dict[str, Any]]:
        """Its parameters in the `path`, the `query` or the `header`, by name."""
        every = self.spec.get("parameters", ())
        return {one["name"]: one for one in every if one["in"] == place}

    def _fields(self, content: Schema) -> Iterator[str]:
        schema = content.get("schema", {})
        if "$ref" in schema:
            schema = self.schemas[named(schema)]
        for name, value in schema.get("properties", {}).items():
            yield name
            if named(value).endswith(_ENDS_WITH):
                yield from self._fields({"schema": value})


def operations(document: Schema, doors: Sequence[Door]) -> Iterator[Operation]:
    """All that the document tells of, door by door."""
    for door in doors:
        for route in (route for router in door.routers for route in router.routes):
            if isinstance(route, APIRoute) and route.include_in_schema:
                for method in sorted(route.methods or ()):
                    spec = document["paths"][route.path_format][method.lower()]
                    yield Operation(door, route, spec, document["components"]["schemas"])


def named(schema: Schema) -> str:
    """The name of the schema that this one refers to; empty if it is one itself."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _call(dependency: params.Depends) -> Any:
    return dependency.dependency
