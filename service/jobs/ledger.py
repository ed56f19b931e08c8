"""The ledger with a short timeout: in the gateway a caller waits for every command."""

import asyncio
from typing import Final, TypeVar

from latentry.errors import LedgerUnavailable
from latentry.ledger import AsyncLedger, Command

T = TypeVar("T")

TIMEOUT_S: Final = 2.5


class GatewayLedger(AsyncLedger):
    """Raises LedgerUnavailable after TIMEOUT_S; AsyncLedger alone would retry for 15 s."""

    async def run(self, command: Command[T]) -> T:
        """Run one command. Raises LedgerUnavailable."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await super().run(command)
        except TimeoutError as error:
            raise LedgerUnavailable from error
