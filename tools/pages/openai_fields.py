"""Writes the tables of docs/openai.md: what becomes of each field, from the models that read them.

`python -m tools.pages.openai_fields`
"""

from collections.abc import Mapping
from typing import Final

from pydantic.fields import FieldInfo

from latentry.contracts import GenerationRequest
from service.doors.openai.requests import (
    AnyImagesRequest,
    EditRequest,
    ImagesRequest,
    VariationRequest,
)
from service.doors.own_fields import OwnFields
from tools.pages.fields import code, page_of, table, wrapped

PAGE: Final = page_of("openai", "tools.pages.openai_fields")
ROUTES: Final[Mapping[str, type[AnyImagesRequest]]] = {
    "generations": ImagesRequest,
    "edits": EditRequest,
    "variations": VariationRequest,
}
# What requests to OpenAI's door declare themselves is OpenAI's.
_SHARED: Final = [n for n in OwnFields.model_fields if n not in AnyImagesRequest.__annotations__]
# Of one route alone these are ours; those of generations are named as in `POST /v1/generations`.
_OURS: Final[Mapping[type[AnyImagesRequest], set[str]]] = {
    ImagesRequest: {"image", "mask"},
    EditRequest: {"reference_adapter", "reference_weight"},
}


def openai_fields(model: type[AnyImagesRequest]) -> dict[str, FieldInfo]:
    """OpenAI's own fields of one of its requests."""
    ours, fields = {*_SHARED, *_OURS.get(model, set())}, model.model_fields
    names = dict.fromkeys([*AnyImagesRequest.__annotations__, *fields])  # in OpenAI's order
    return {name: fields[name] for name in names if name in fields and name not in ours}


def own_fields(model: type[AnyImagesRequest]) -> list[str]:
    """The fields of ours that it takes."""
    return [name for name in model.model_fields if name not in openai_fields(model)]


def _only(model: type[AnyImagesRequest]) -> list[str]:
    """Those that all routes' requests do not have."""
    return [name for name in own_fields(model) if name not in OwnFields.model_fields]


def section() -> str:
    """What the page has between both marks."""
    fields = {route: openai_fields(model) for route, model in ROUTES.items()}
    refused = [n for n in GenerationRequest.model_fields if n not in ImagesRequest.model_fields]
    parts = [
        *table("OpenAI's field", fields, ROUTES),
        "",
        *wrapped("**Ours, obeyed** on all three routes:", map(code, _SHARED)),
        "",
        *wrapped("On generations too:", map(code, _only(ImagesRequest))),
        "",
        *wrapped("On edits too:", map(code, _only(EditRequest))),
        "",
        *wrapped("**Ours, refused** by name:", map(code, refused)),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write(section())
