"""Tables of what becomes of another API's fields, for pages that a program writes a part of."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from service.doors.fates import fate_of

_END: Final = "<!-- End of what it writes. -->\n"
_WIDTH: Final = 150


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and the program that writes what stands between two marks in it."""

    path: Path
    program: str

    @property
    def begin(self) -> str:
        """The mark where its part begins."""
        return f"<!-- Written by `python -m {self.program}`; a test compares. -->\n"

    def with_section(self, page: str, section: str) -> str:
        """The page's text with this as its part."""
        within = re.compile(re.escape(self.begin) + ".*" + re.escape(_END), re.DOTALL)
        return within.sub(lambda _: f"{self.begin}\n{section}\n{_END}", page)

    def write(self, section: str) -> None:
        """Write the part."""
        self.path.write_text(self.with_section(self.path.read_text(), section))


def page_of(name: str, program: str) -> Page:
    """A page of `docs/`."""
    return Page(Path(__file__).parents[2] / "docs" / f"{name}.md", program)


def table(
    head: str, routes: Mapping[str, Mapping[str, FieldInfo]], models: Mapping[str, type[BaseModel]]
) -> list[str]:
    """One row a field. `routes`: the fields of each; `models`: which model has them."""
    every = {name: field for fields in routes.values() for name, field in fields.items()}
    rows = [f"| {head} | of | here | |\n|---|---|---|---|"]
    for name, field in every.items():
        of = [route for route, fields in routes.items() if name in fields]
        where = "all" if len(of) == len(routes) else ", ".join(of)
        what = described(models[of[0]], name)
        rows.append(f"| `{name}` | {where} | {fate_of(field).fate.value} | {what} |")
    return rows


def short_table(head: str, model: type[BaseModel]) -> list[str]:
    """The same of one model alone."""
    rows = [f"| {head} | here | |\n|---|---|---|"]
    for name, field in model.model_fields.items():
        rows.append(f"| `{name}` | {fate_of(field).fate.value} | {described(model, name)} |")
    return rows


def described(model: type[BaseModel], name: str) -> str:
    """Its own description, or that of what it may be besides null."""
    schema = model.model_json_schema()["properties"][name]
    parts = [schema, *schema.get("anyOf", ())]
    return next((part["description"] for part in parts if "description" in part), "")


def code(name: str) -> str:
    """A name as it is set in a page."""
    return f"`{name}`"


def wrapped(head: str, names: Iterable[str]) -> list[str]:
    """A list of names as lines of a page."""
    lines = [head]
    for name in names:
        if len(lines[-1]) + len(name) > _WIDTH:
            lines.append("")
        lines[-1] += f" {name}," if lines[-1] else f"{name},"
    return [*lines[:-1], lines[-1].removesuffix(",") + "."]
