"""Where a request names pictures: fields of its own, and of the entries of its lists."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

FIELDS: Final = ("image", "mask")


def pictures(request: BaseModel) -> dict[str, Any]:
    """Each picture that it names, by its place: `image`, `mask`, `controls/0/image`, …

    References where the request is a client's; files where its omitted fields are filled in.
    """
    found = {name: one for name in FIELDS if (one := getattr(request, name, None)) is not None}
    for name, value in vars(request).items():
        if value and isinstance(value, tuple):  # few are
            for number, entry in enumerate(_entries(request, name)):
                found |= {f"{name}/{number}/{own}": one for own, one in pictures(entry).items()}
    return found


def with_pictures(request: M, changed: Mapping[str, Any]) -> M:
    """The same with these pictures instead, by place; what it has no list for is left out."""
    update = {name: one for name, one in changed.items() if "/" not in name}
    for name in {place.partition("/")[0] for place in changed if "/" in place}:
        if entries := _entries(request, name):
            update[name] = tuple(
                with_pictures(entry, below(f"{name}/{number}", changed))
                for number, entry in enumerate(entries)
            )
    return request.model_copy(update=update)


def below(place: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Those of one entry or keyframe, by their places in it."""
    start = f"{place}/"
    return {name.removeprefix(start): one for name, one in found.items() if name.startswith(start)}


def _entries(request: BaseModel, name: str) -> tuple[BaseModel, ...]:
    value = getattr(request, name, ())
    if not isinstance(value, tuple):
        return ()
    return tuple(entry for entry in value if isinstance(entry, BaseModel))
