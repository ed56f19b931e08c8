"""The least that files must say of their making."""

from typing import Final

from latentry.contracts import Provenance
from latentry.errors import ProvenanceRequired

_ORDER: Final = tuple(Provenance)


def refuse_less(wanted: Provenance, *floors: Provenance) -> None:
    """Raises ProvenanceRequired for less than every floor, the service's and the key's, asks."""
    least = max(floors, key=_ORDER.index)
    if not wanted.covers(least):
        why = f"Files of this service say at least `{least}`; send `provenance: {least}` or more."
        raise ProvenanceRequired(why, fields={"/provenance": why})
