"""How much a picture's file says of its making, and in what state a file's manifest is."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field


class Provenance(StrEnum):
    """What is written into a picture's file, from least to most."""

    NONE = "none"
    MINIMAL = "minimal"  # that a model made it, and which service; no prompt, seed or model
    FULL = "full"  # the request that repeats it as well

    def covers(self, least: "Provenance") -> bool:
        """Whether it says at least as much."""
        order = list(Provenance)
        return order.index(self) >= order.index(least)


class C2paState(StrEnum):
    """What the signed manifest of a file is worth."""

    TRUSTED = "trusted"  # valid, and its signer's chain ends at a configured trust list
    VALID = "valid"  # the file is as it was signed, by somebody
    INVALID = "invalid"
    NONE = "none"  # there is none

    @property
    def is_any(self) -> bool:
        """Whether there is a manifest, whatever it is worth."""
        return self is not C2paState.NONE


ProvenanceOption = Annotated[
    Provenance,
    Field(
        description="What the files say of their making. `full`: parameters, XMP and a signed C2PA "
        "manifest. `minimal`: that a model made them, without prompt, seed or model. `none`: "
        "nothing. The operator may require more."
    ),
]
