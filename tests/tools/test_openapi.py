"""The API document is the one that clients were promised."""

import copy
import json
from functools import cache
from typing import Any

import pytest

from tools.pages.openapi import PAGE, breaking, document, text

_document = cache(document)


@pytest.fixture
def current() -> dict[str, Any]:
    return _document()


def test_nothing_breaks_clients_and_the_file_is_up_to_date(current) -> None:
    promised = json.loads(PAGE.read_text())
    assert breaking(promised, current) == [], (
        "this breaks clients of the API: take it back, or say so in CHANGELOG.md"
        " and run `python -m tools.pages.openapi`"
    )
    assert PAGE.read_text() == text(current), "run `python -m tools.pages.openapi`"


def altered(current: dict[str, Any], *path: str, to: Any = None) -> dict[str, Any]:
    """A copy in which one value is another, or gone."""
    found = copy.deepcopy(current)
    place: Any = found
    for name in path[:-1]:
        place = place[name]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return found


FIELDS = ("components", "schemas", "GenerationRequest", "properties")


@pytest.mark.parametrize(
    ("path", "to", "sentence"),
    [
        (("paths", "/v1/usage"), None, "GET /v1/usage is gone."),
        (
            ("paths", "/v1/usage", "get", "operationId"),
            "usage_2",
            "GET /v1/usage is no longer called get_usage.",
        ),
        (
            ("paths", "/v1/usage", "get", "responses", "403"),
            None,
            "GET /v1/usage no longer answers 403.",
        ),
        (
            ("paths", "/v1/verify", "post", "requestBody", "content", "image/png"),
            None,
            "POST /v1/verify no longer takes image/png.",
        ),
        (
            ("paths", "/v1/usage", "get", "responses", "200", "content", "application/json"),
            None,
            "GET /v1/usage no longer answers 200 as application/json.",
        ),
        ((*FIELDS, "seed"), None, "GenerationRequest has no seed any more."),
        (
            ("components", "schemas", "GenerationRequest", "required"),
            ["seed"],
            "GenerationRequest requires seed.",
        ),
        (
            (*FIELDS, "n"),
            {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 4}, {"type": "null"}]},
            "GenerationRequest.n has a lower maximum, 4.",
        ),
        (
            (*FIELDS, "n"),
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "GenerationRequest.n takes no integer any more.",
        ),
        (("components", "schemas", "Job", "properties", "cost"), None, "Job has no cost any more."),
        (
            ("components", "schemas", "Sampler", "enum"),
            ["ddim"],
            "Sampler no longer takes euler.",
        ),
    ],
)
def test_a_breaking_change_is_told_in_a_sentence(current, path, to, sentence) -> None:
    assert sentence in breaking(current, altered(current, *path, to=to))


def test_an_addition_breaks_nothing(current) -> None:
    more = altered(current, *FIELDS, "novelty", to={"type": "integer"})
    more = altered(more, "paths", "/v1/novelties", to={})
    assert breaking(current, more) == []
