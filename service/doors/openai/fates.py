"""What becomes of a field of OpenAI's: written beside it, read by the page that lists them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic.fields import FieldInfo


class Fate(StrEnum):
    """What the door does with a field."""

    OBEYED = "obeyed"
    MAPPED = "mapped"  # onto what a diffusion model has
    IGNORED = "ignored"  # harmless, and named in a header
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Here:
    """The fate of a field here, in the field's annotation. `unless`: values that are no request."""

    fate: Fate
    unless: tuple[Any, ...] = ()


def fate_of(field: FieldInfo) -> Here:
    """What becomes of it; fields of ours have no mark, and are obeyed."""
    marks = (mark for mark in field.metadata if isinstance(mark, Here))
    return next(marks, Here(Fate.OBEYED))
