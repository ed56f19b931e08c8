"""The ledger with a short timeout: in the gateway a caller waits for every command."""

from typing import Final

from latentry.ledger import AsyncLedger

TIMEOUT_S: Final = 2.5


class GatewayLedger(AsyncLedger):
    """Raises LedgerUnavailable after TIMEOUT_S; AsyncLedger alone would retry for 15 s."""

    patience_s = TIMEOUT_S
