"""What becomes of another API's fields here, as their annotations say it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo


class Fate(StrEnum):
    """What a door does with a field."""

    OBEYED = "obeyed"
    MAPPED = "mapped"  # onto what a diffusion model has
    IGNORED = "ignored"  # harmless, and named in a header
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Here:
    """The fate of a field here, in the field's annotation. `unless`: values that are no request."""

    fate: Fate
    unless: tuple[Any, ...] = ()


MAX_NAMES: Final = 32  # in the header that names what is ignored
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
OBEYED: Final = Here(Fate.OBEYED)
MAPPED: Final = Here(Fate.MAPPED)
IGNORED: Final = Here(Fate.IGNORED)
REFUSED: Final = Here(Fate.REFUSED)


def fate_of(field: FieldInfo) -> Here:
    """What becomes of it; fields of ours have no mark, and are obeyed."""
    marks = (mark for mark in field.metadata if isinstance(mark, Here))
    return next(marks, OBEYED)


@cache
def with_fate(model: type[BaseModel], fate: Fate) -> Mapping[str, Here]:
    """The model's fields that have this fate."""
    found = {name: fate_of(field) for name, field in model.model_fields.items()}
    return {name: here for name, here in found.items() if here.fate is fate}


def ignored_fields(model: BaseModel) -> Iterator[str]:
    """The names of fields that were sent and are ignored: such a fate's, and unknown ones."""
    for name, here in with_fate(type(model), Fate.IGNORED).items():
        value = getattr(model, name)
        if value is not None and value not in here.unless:
            yield name
    sent = (name for name, value in (model.model_extra or {}).items() if value is not None)
    yield from sorted(name for name in sent if _NAME.fullmatch(name))
