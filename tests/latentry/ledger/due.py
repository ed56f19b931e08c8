"""Time for deliveries, moved in the ledger rather than waited for."""

from latentry.ledger import Ledger


def make_due(ledger: Ledger) -> None:
    """As if all pauses were over and all leases had ended."""
    for queue in ledger.client.keys(f"{ledger.root}:deliveries:*"):
        for name in ledger.client.zrange(queue, 0, -1):
            ledger.client.zadd(queue, {name: 1})
    for receiver in ledger.client.zrange(f"{ledger.root}:receivers", 0, -1):
        ledger.client.zadd(f"{ledger.root}:receivers", {receiver: 1})
