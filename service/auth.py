"""Who is asking. Everybody is one tenant until keys exist; this is the seam where they come in."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request is made."""

    tenant: str


_EVERYBODY: Final = Caller("default")


async def caller() -> Caller:
    """The caller of this request."""
    return _EVERYBODY


Asker = Annotated[Caller, Depends(caller)]
