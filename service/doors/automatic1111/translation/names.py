"""Names of files as AUTOMATIC1111's clients write them: with suffix, folder and hash."""

import re
from collections.abc import Sequence
from typing import Final

from latentry.errors import UnknownModel
from latentry.ledger import CatalogueEntry
from latentry.settings import Settings
from service.jobs.admission import choose

_HASH: Final = re.compile(r"\s*\[[0-9a-fA-F]{1,64}\]$")
_SUFFIX: Final = re.compile(r"\.(safetensors|ckpt|pt|pth|bin)$", re.IGNORECASE)
_NONE: Final = ("", "none", "automatic")


def bare(name: str) -> str:
    """The name alone: `v1-5` of `SD/v1-5.safetensors [6ce0161689]`."""
    name = _SUFFIX.sub("", _HASH.sub("", name.strip()))
    return re.split(r"[/\\]", name)[-1]


def is_none(name: str | None) -> bool:
    """Whether it names nothing: `None`, `Automatic`."""
    return name is None or name.lower() in _NONE


def checkpoint(
    name: str | None, entries: Sequence[CatalogueEntry], settings: Settings
) -> CatalogueEntry:
    """The model of this name, capitals or not; the default one if it names none.

    Raises UnknownModel or NoModel.
    """
    if name is None or is_none(name):
        return choose(settings.default_model, entries)
    if not entries:
        return choose("", entries)
    ids = {entry.card.id.casefold(): entry for entry in entries}
    found = ids.get(name.strip().casefold()) or ids.get(bare(name).casefold())
    if found is None:
        raise UnknownModel("Model not found; GET /sdapi/v1/sd-models lists the available models.")
    return found
