"""Is this process alive, and can it accept work? For orchestrators."""

import asyncio
from typing import Final

from fastapi import APIRouter

from latentry.errors import LedgerUnavailable, ShuttingDown
from latentry.ledger import commands
from service.doors.answers import PROBLEMS
from service.gateway import Here

router = APIRouter(tags=["health"])

_READY_WITHIN_S: Final = 0.2


@router.get("/livez")
async def livez() -> dict[str, str]:
    """The event loop turns."""
    return {"status": "alive"}


@router.get("/readyz", responses=PROBLEMS)
async def readyz(gateway: Here) -> dict[str, str | bool]:
    """The ledger can be written, soon, and we are not leaving; also, if a worker has a model."""
    if gateway.stopping.is_set():
        raise ShuttingDown
    try:
        async with asyncio.timeout(_READY_WITHIN_S):
            await gateway.ledger.run(commands.probe())
            entries = await gateway.catalogue.entries()
    except TimeoutError as error:
        raise LedgerUnavailable from error
    return {"status": "ready", "can_draw": any(entry.workers for entry in entries)}
