"""What the API document says of every route: its examples, its failures, its names."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from latentry import errors
from latentry.settings import Settings
from service.access.auth import MayRead
from service.app import create_app
from service.description.operations import Operation, named, operations
from service.description.refusals import refusals
from service.doors import native
from service.http.door import Door
from service.http.failures import STATUS

# Answered before a request has a path, or never by a route: by workers, at start, by webhooks.
_OF_NO_ROUTE = {
    *(errors.MalformedHead, errors.HeadTooLarge),
    *(errors.LeaseLost, errors.ConfigurationError, errors.NoAdapterRoom, errors.NoAnswer),
    errors.NotFound,  # the base class
    errors.Exhausted,
}


@cache
def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


@cache
def every_operation() -> tuple[Operation, ...]:
    app = create_app(Settings())
    return tuple(operations(app.openapi(), app.state.doors))


def _name(operation: Operation) -> str:
    return str(operation.spec["operationId"])


def _contents(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from operation.body.items()
    for answer in _responses(operation).values():
        yield from answer.get("content", {}).items()


def _responses(operation: Operation) -> dict[str, Any]:
    shared = document()["components"]["responses"]
    every = operation.spec["responses"].items()
    return {str(status): shared.get(named(one), one) for status, one in every}


def _is_text(media: str) -> bool:
    return "json" in media or media in ("text/event-stream", "multipart/form-data")


def _values(content: dict[str, Any]) -> Iterator[Any]:
    if "example" in content:
        yield content["example"]
    for one in content.get("examples", {}).values():
        if "$ref" in one:
            one = document()["components"]["examples"][one["$ref"].rpartition("/")[2]]
        yield one["value"]


@pytest.mark.parametrize("operation", every_operation(), ids=_name)
def test_an_operation_has_words_a_tag_and_examples(operation: Operation) -> None:
    spec = operation.spec
    assert spec["description"].endswith(".")
    [tag] = spec["tags"]
    assert tag in operation.door.tags, f"give the door a sentence for its tag {tag}"
    assert not {"4XX", "5XX", "default"} & spec["responses"].keys(), "`service/description` does it"
    for media, content in _contents(operation):
        if _is_text(media):
            assert list(_values(content)), f"{media} of {_name(operation)} has no example"


@pytest.mark.parametrize("operation", every_operation(), ids=_name)
def test_examples_are_what_their_schemas_say(operation: Operation) -> None:
    for media, content in _contents(operation):
        if "json" in media and "schema" in content:
            schema = content["schema"] | {"components": document()["components"]}
            checked = jsonschema_rs.validator_for(schema, validate_formats=True)
            for value in _values(content):
                checked.validate(value)


@pytest.mark.parametrize("operation", every_operation(), ids=_name)
def test_failures_are_named_in_the_doors_own_words(operation: Operation) -> None:
    for status, answer in _responses(operation).items():
        if int(status) < 400:
            continue
        [(_, content)] = answer["content"].items()
        for code, value in zip(content["examples"], _values(content), strict=True):
            said = operation.door.failure.model_validate(value).model_dump(mode="json")
            assert said == value
            assert f"`{code}`" in answer["description"]


def test_names_are_unique_and_tags_described_once() -> None:
    names = [_name(operation) for operation in every_operation()]
    assert len(set(names)) == len(names)
    tags = [tag["name"] for tag in document()["tags"]]
    assert len(set(tags)) == len(tags)
    assert {tag for operation in every_operation() for tag in operation.spec["tags"]} == set(tags)


def test_every_error_that_has_a_status_is_some_routes() -> None:
    named = {kind for operation in every_operation() for kind in refusals(operation)}
    assert named | _OF_NO_ROUTE == set(STATUS), "say in `refusals` which routes can answer it"
    assert not named & _OF_NO_ROUTE


class Answer(BaseModel):
    """Of a route that nobody has described."""

    text: str


def test_a_new_route_has_its_failures_and_must_bring_an_example() -> None:
    router = APIRouter(tags=["new"])

    @router.get("/v1/generations/{job_id}/novelty", response_model=Answer)
    async def novelty(_: MayRead, job_id: str) -> None:
        """Get what is new."""

    own = native.door(Settings())
    door = Door(routers=(router,), dialect=own.dialect)
    app = create_app(Settings())
    app.include_router(router)
    found = app.openapi()
    [operation] = operations(found, [door])
    codes = {kind.code for kind in refusals(operation)}
    assert {"unauthenticated", "job_not_found", "job_gone", "ledger_unavailable"} <= codes
    assert "malformed_body" not in codes
    with pytest.raises(AssertionError):
        test_an_operation_has_words_a_tag_and_examples(operation)


def test_an_example_is_of_the_state_that_its_answer_has():
    def example(path: str, status: str, media: str = "application/json") -> Any:
        return document()["paths"][path]["post"]["responses"][status]["content"][media]["example"]

    for path in ("generations", "interpolations", "upscales", "controls", "captions", "clips"):
        accepted = example(f"/v1/{path}", "202")
        assert (accepted["status"], accepted["images"]) == ("queued", [])
    assert example("/v1/generations/{job_id}/cancel", "200")["status"] == "canceled"
    for path, name in (("generations", "image_generation"), ("edits", "image_edit")):
        stream = example(f"/v1/images/{path}", "200", "text/event-stream")
        assert f"event: {name}.partial_image\n" in stream
        assert f"event: {name}.completed\n" in stream
