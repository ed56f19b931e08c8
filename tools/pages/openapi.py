"""Writes docs/openapi.json, and says what in a new document would break clients of the old one.

`python -m tools.pages.openapi`
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from latentry.settings import Settings
from service.app import create_app

PAGE: Final = Path(__file__).parents[2] / "docs" / "openapi.json"
_LOWER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_HIGHER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
Schema = Mapping[str, Any]


def document() -> dict[str, Any]:
    """The API's description as a service with default settings has it, without its version."""
    found: dict[str, Any] = create_app(Settings()).openapi()
    found["info"] |= {"version": "0"}  # a release alone changes nothing here
    return found


def text(found: Schema) -> str:
    """A document as the file has it."""
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def breaking(old: Schema, new: Schema) -> list[str]:
    """A sentence for each change that a client of the old document could fail on."""
    return [*_operations(old, new), *_schemas(old, new)]


def _operations(old: Schema, new: Schema) -> Iterator[str]:
    for path, methods in old["paths"].items():
        for method in methods:
            where = f"{method.upper()} {path}"
            before, after = (_operation(one, path, method) for one in (old, new))
            if not after:
                yield f"{where} is gone."
                continue
            if before["operationId"] != after["operationId"]:
                yield f"{where} is no longer called {before['operationId']}."
            yield from _bodies(where, before, after)
            yield from _parameters(where, before, after)


def _operation(found: Schema, path: str, method: str) -> dict[str, Any]:
    """An operation with all its responses in their places; empty if there is none."""
    operation = found["paths"].get(path, {}).get(method, {})
    known = found["components"].get("responses", {})
    responses = {
        status: known.get(str(one.get("$ref", "")).rpartition("/")[2], one)
        for status, one in operation.get("responses", {}).items()
    }
    return operation | {"responses": responses} if operation else {}


def _bodies(where: str, before: Schema, after: Schema) -> Iterator[str]:
    for media in _media(before.get("requestBody", {})) - _media(after.get("requestBody", {})):
        yield f"{where} no longer takes {media}."
    for status, answer in before["responses"].items():
        if status not in after["responses"]:
            yield f"{where} no longer answers {status}."
            continue
        for media in _media(answer) - _media(after["responses"][status]):
            yield f"{where} no longer answers {status} as {media}."


def _media(body: Schema) -> set[str]:
    return set(body.get("content", ()))


def _parameters(where: str, before: Schema, after: Schema) -> Iterator[str]:
    old, new = (
        {(one["in"], one["name"]): one for one in operation.get("parameters", ())}
        for operation in (before, after)
    )
    for place, name in old.keys() - new.keys():
        yield f"{where} no longer takes the {place} parameter {name}."
    for key, one in new.items():
        if one.get("required") and not old.get(key, {}).get("required"):
            yield f"{where} requires the {key[0]} parameter {key[1]}."
        if key in old:
            yield from _narrower(f"{where}: {key[1]}", old[key]["schema"], one["schema"])


def _schemas(old: Schema, new: Schema) -> Iterator[str]:
    known, found = old["components"]["schemas"], new["components"]["schemas"]
    sent = _sent(old)
    for name, before in known.items():
        if name not in found:
            yield f"The schema {name} is gone."
            continue
        after = found[name]
        properties = after.get("properties", {})
        for field, value in before.get("properties", {}).items():
            if field not in properties:
                yield f"{name} has no {field} any more."
            elif name in sent:
                yield from _narrower(f"{name}.{field}", value, properties[field])
        if name in sent:
            for field in set(after.get("required", ())) - set(before.get("required", ())):
                yield f"{name} requires {field}."
            yield from _narrower(name, before, after)


def _narrower(where: str, before: Schema, after: Schema) -> Iterator[str]:
    """What was a valid value and is none any more."""
    yield from _bounds(where, before, after)
    for value in _missing(before.get("enum", ()), after.get("enum")):
        yield f"{where} no longer takes {value}."
    for kind in _missing(_types(before), _types(after)):
        yield f"{where} takes no {kind} any more."
    if "items" in before and "items" in after:
        yield from _narrower(f"{where}[]", before["items"], after["items"])
    for one in before.get("anyOf", ()):
        alike = [each for each in after.get("anyOf", ()) if _types(each) == _types(one)]
        if len(alike) == 1:
            yield from _narrower(where, one, alike[0])


def _bounds(where: str, before: Schema, after: Schema) -> Iterator[str]:
    for bound in _LOWER:
        if bound in after and after[bound] < before.get(bound, float("inf")):
            yield f"{where} has a lower {bound}, {after[bound]}."
    for bound in _HIGHER:
        if bound in after and after[bound] > before.get(bound, float("-inf")):
            yield f"{where} has a higher {bound}, {after[bound]}."


def _types(schema: Schema) -> set[str]:
    if "anyOf" in schema:
        return set().union(*(_types(one) for one in schema["anyOf"]))
    if "$ref" in schema:
        return {str(schema["$ref"]).rpartition("/")[2]}
    return {schema["type"]} if isinstance(schema.get("type"), str) else set()


def _missing(before: Any, after: Any) -> list[Any]:
    """What was possible and is not any more; where nothing is said all is possible."""
    return [one for one in before if one not in after] if after else []


def _sent(found: Schema) -> set[str]:
    """The names of all schemas that clients send."""
    schemas, names = found["components"]["schemas"], set[str]()
    bodies = [
        operation.get("requestBody", {})
        for methods in found["paths"].values()
        for operation in methods.values()
    ]
    todo = list(_references(bodies))
    while todo:
        name = todo.pop()
        if name not in names and name in schemas:
            names.add(name)
            todo += _references(schemas[name])
    return names


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rpartition("/")[2]
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


if __name__ == "__main__":
    PAGE.write_text(text(document()))
