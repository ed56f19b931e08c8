"""Liveness and readiness, for orchestrators."""

import asyncio
from typing import Final

from fastapi import APIRouter

from latentry.contracts.catalogue.capabilities import Readiness
from latentry.errors import LedgerUnavailable, ShuttingDown
from latentry.ledger import commands
from service.doors.answers import example
from service.doors.native.tags import Tag
from service.gateway import GatewayDep

router = APIRouter(tags=[Tag.HEALTH])

# Less than the second that Kubernetes' probes wait by default, and more than a busy machine takes:
# it must not lose gateways because it is busy.
_READY_WITHIN_S: Final = 0.8


@router.get("/livez", responses=example({"status": "alive"}))
async def livez() -> dict[str, str]:
    """Liveness: the process responds."""
    return {"status": "alive"}


@router.get("/readyz", responses=example({"status": "ready", "can_draw": True}))
async def readyz(gateway: GatewayDep) -> Readiness:
    """Readiness: Redis accepts writes, sends updates, and the gateway is not shutting down.

    The certificate that signs pictures must not have expired. `can_draw` tells whether a live
    worker serves any model; without one the gateway is ready all the same, as it can do all else.
    """
    if gateway.is_stopping:
        raise ShuttingDown
    if gateway.event_hub.refusal:
        raise gateway.event_hub.refusal
    gateway.certificate.refuse_expired()
    try:
        async with asyncio.timeout(_READY_WITHIN_S):
            await gateway.ledger.run(commands.check_writable())
            entries = await gateway.catalogue.entries()
    except TimeoutError as error:
        raise LedgerUnavailable from error
    return Readiness(can_draw=any(entry.workers for entry in entries))
