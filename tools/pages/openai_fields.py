"""Writes the tables of docs/openai.md: what becomes of each field, from the models that read them.

`python -m tools.pages.openai_fields`
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo

from latentry.contracts import GenerationRequest
from service.doors.fates import fate_of
from service.doors.openai.requests import (
    AnyImagesRequest,
    EditRequest,
    ImagesRequest,
    VariationRequest,
)
from service.doors.own_fields import OwnFields

PAGE: Final = Path(__file__).parents[2] / "docs" / "openai.md"
BEGIN: Final = "<!-- Written by `python -m tools.pages.openai_fields`; a test compares. -->\n"
END: Final = "<!-- End of what it writes. -->\n"
ROUTES: Final[Mapping[str, type[AnyImagesRequest]]] = {
    "generations": ImagesRequest,
    "edits": EditRequest,
    "variations": VariationRequest,
}
# Of generations these are ours, named as in `POST /v1/generations`.
_OURS: Final[Mapping[type[AnyImagesRequest], set[str]]] = {ImagesRequest: {"image", "mask"}}
_WIDTH: Final = 150


def openai_fields(model: type[AnyImagesRequest]) -> dict[str, FieldInfo]:
    """OpenAI's own fields of one of its requests."""
    ours = OwnFields.model_fields.keys() | _OURS.get(model, set())
    return {name: field for name, field in model.model_fields.items() if name not in ours}


def own_fields(model: type[AnyImagesRequest]) -> list[str]:
    """The fields of ours that it takes."""
    return [name for name in model.model_fields if name not in openai_fields(model)]


def section() -> str:
    """What the page has between both marks."""
    every = {name: field for model in ROUTES.values() for name, field in _items(model)}
    rows = [_row(name, field) for name, field in every.items()]
    refused = [n for n in GenerationRequest.model_fields if n not in ImagesRequest.model_fields]
    only_here = [n for n in own_fields(ImagesRequest) if n not in OwnFields.model_fields]
    parts = [
        "| OpenAI's field | of | here | |\n|---|---|---|---|",
        *rows,
        "",
        *_wrapped("**Ours, obeyed** on all three routes:", map(_code, OwnFields.model_fields)),
        "",
        *_wrapped("On generations too:", map(_code, only_here)),
        "",
        *_wrapped("**Ours, refused** by name:", map(_code, refused)),
    ]
    return "\n".join(parts) + "\n"


def _items(model: type[AnyImagesRequest]) -> Iterable[tuple[str, FieldInfo]]:
    return openai_fields(model).items()


def _row(name: str, field: FieldInfo) -> str:
    of = [route for route, model in ROUTES.items() if name in openai_fields(model)]
    where = "all" if len(of) == len(ROUTES) else ", ".join(of)
    return f"| `{name}` | {where} | {fate_of(field).fate.value} | {_description(of[0], name)} |"


def _description(route: str, name: str) -> str:
    """Its own, or that of what it may be besides null."""
    schema = ROUTES[route].model_json_schema()["properties"][name]
    parts = [schema, *schema.get("anyOf", ())]
    return next((part["description"] for part in parts if "description" in part), "")


def _code(name: str) -> str:
    return f"`{name}`"


def _wrapped(head: str, names: Iterable[str]) -> list[str]:
    lines = [head]
    for name in names:
        if len(lines[-1]) + len(name) > _WIDTH:
            lines.append("")
        lines[-1] += f" {name}," if lines[-1] else f"{name},"
    return [*lines[:-1], lines[-1].removesuffix(",") + "."]


def with_section(page: str) -> str:
    """The page with the section that the models say."""
    within = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)
    return within.sub(lambda _: f"{BEGIN}\n{section()}\n{END}", page)


if __name__ == "__main__":
    PAGE.write_text(with_section(PAGE.read_text()))
