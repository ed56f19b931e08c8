"""The ledger as the gateway asks it: a caller is waiting, so an answer comes soon or not at all."""

import asyncio
from typing import Final, TypeVar

from latentry.errors import LedgerUnavailable
from latentry.ledger import AsyncLedger, Command

T = TypeVar("T")

PATIENCE_S: Final = 2.5


class ImpatientLedger(AsyncLedger):
    """Raises LedgerUnavailable where a patient ledger would try again for a quarter of a minute."""

    async def run(self, command: Command[T]) -> T:
        """Carry out one command."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await super().run(command)
        except TimeoutError as error:
            raise LedgerUnavailable from error
