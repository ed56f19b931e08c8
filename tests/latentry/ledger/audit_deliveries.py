"""What must be true of deliveries: one for each event of a job that asks for it, all scheduled."""

import hashlib
import json
from collections.abc import Mapping

from latentry.contracts import EventType, Webhook, WebhookEvent
from latentry.ledger import Ledger

HOOK = Webhook(url="https://shop.example/", events=list(WebhookEvent))
RECEIVER = "one@shop.example:443"


def audit_deliveries(ledger: Ledger, jobs: Mapping[str, tuple[dict, list[EventType]]]) -> None:
    """Of each job, its fields and its events. Nobody sends anything meanwhile."""
    client, root = ledger.client, f"{ledger.root}:"
    found = {name.removeprefix(f"{root}delivery:") for name in client.keys(f"{root}delivery:*")}
    wanted = {
        f"{ref}:{event}"
        for ref, (fields, events) in jobs.items()
        if "webhook" in fields
        for event in set(events) & set(json.loads(fields["webhook"])["events"])
    }
    known = {name for name in found if name.rpartition(":")[0] in jobs}
    assert known == wanted, "each event that was asked for has a delivery, and no other"
    ids = {client.hget(f"{root}delivery:{name}", "id") for name in found}
    assert ids == {"evt_" + hashlib.sha1(name.encode()).hexdigest()[:32] for name in found}
    waiting = set(client.zrange(f"{root}deliveries", 0, -1))
    assert waiting == found, "what is not delivered yet waits"
    queues = {name: client.zrange(name, 0, -1, withscores=True) for name in _queues(ledger)}
    assert sorted(name for rows in queues.values() for name, _ in rows) == sorted(found)
    firsts = {name.removeprefix(f"{root}deliveries:"): rows[0][1] for name, rows in queues.items()}
    assert dict(client.zrange(f"{root}receivers", 0, -1, withscores=True)) == firsts


def _queues(ledger: Ledger) -> list[str]:
    return list(ledger.client.keys(f"{ledger.root}:deliveries:*"))
