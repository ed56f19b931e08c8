"""What becomes of another API's fields here, as their annotations say it."""

from collections.abc import Mapping
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
