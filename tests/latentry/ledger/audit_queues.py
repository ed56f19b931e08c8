"""The queues and the leases against the records: who is where, and what it all costs."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

Fields = Mapping[str, str]


def audit_queues(found: Mapping[str, Any], queued: Mapping[str, Fields]) -> None:
    """Each waiting job is in its model's queue and in its tenant's own, and is counted there."""
    queues: dict[str, dict[str, int]] = {}
    tenant_queues: dict[str, dict[str, int]] = {}
    waiting_cost, load, tenants = Counter[tuple[str, str]](), Counter[str](), dict[str, set[str]]()
    for ref, fields in queued.items():
        tenant, model, cost = ref.partition(":")[0], fields["model"], int(fields["cost_ms"])
        queues.setdefault(f"queue:{model}", {})[ref] = int(fields["sequence"])
        load[model] += cost
        if fields["crashes"] == "0":
            kind = "named_queue" if "user" in fields else "tenant_queue"
            tenant_queues.setdefault(f"{kind}:{model}:{tenant}", {})[ref] = int(fields["score"])
            waiting_cost[tenant, model] += cost
            tenants.setdefault(model, set()).add(tenant)
        else:
            suspects = "suspects" if fields["crashes"] == "1" else "quarantined"
            tenant_queues.setdefault(f"{suspects}:{model}", {})[ref] = -1
    assert queues == _all(found, "queue"), "the queue holds who waits"
    own = _all(found, "tenant_queue") | _all(found, "named_queue")
    apart = {
        name: dict.fromkeys(rows, -1)
        for kind in ("suspects", "quarantined")
        for name, rows in _all(found, kind).items()
    }
    assert tenant_queues == own | apart, "by score, those with a user and suspects apart"
    assert waiting_cost == {
        (name.partition(":")[2], model): cost
        for name, costs in _all(found, "waiting_cost").items()
        for model, cost in costs.items()
    }, "what a tenant waits for is summed up"
    assert load == {
        name.partition(":")[2]: sums["waiting_ms"]
        for name, sums in _all(found, "load").items()
        if "waiting_ms" in sums
    }, "and so is what a queue holds"
    for kind in ("tenants", "weights"):
        those = {name.partition(":")[2]: set(rows) for name, rows in _all(found, kind).items()}
        assert those == tenants, "tenants that wait have a tag and a weight, and no others"
    _audit_users(found, {ref: row for ref, row in queued.items() if row["crashes"] == "0"})


def _audit_users(found: Mapping[str, Any], waiting: Mapping[str, Fields]) -> None:
    """Where a tenant's users take turns, each of its waiting jobs is its user's."""
    active = {name.partition(":")[2] for name in _all(found, "user_time")}
    tenants = {ref.partition(":")[0] for ref in waiting}
    named = {ref.partition(":")[0] for ref, row in waiting.items() if "user" in row}
    assert named <= active <= tenants, "users take turns from the first until nothing waits"
    queues, costs, users = dict[str, dict[str, int]](), Counter[str](), dict[str, set[str]]()
    for ref, row in waiting.items():
        tenant, model, user = ref.partition(":")[0], row["model"], row.get("user", "-")
        if "user" in row:
            queues.setdefault(f"{model}:{tenant}:{user}", {})[ref] = int(row["score"])
        if tenant in active:
            costs[f"{tenant}:{user}:{model}"] += int(row["cost_ms"])
            users.setdefault(f"{model}:{tenant}", set()).add(user)
    assert queues == {n.partition(":")[2]: rows for n, rows in _all(found, "user_queue").items()}
    assert costs == {
        f"{name.partition(':')[2]}:{model}": cost
        for name, sums in _all(found, "user_cost").items()
        for model, cost in sums.items()
    }, "what a user waits for is summed up"
    assert users == {n.partition(":")[2]: set(rows) for n, rows in _all(found, "users").items()}
    assert {n.partition(":")[2] for n in _all(found, "user_tags")} <= active, "no tag outlives them"


def audit_leases(found: Mapping[str, Any], running: Mapping[str, Fields]) -> None:
    """Each running job has its lease, and is counted there."""
    assert found.get("leases", {}).keys() == running.keys(), "what runs is leased (I5)"
    costs, images = Counter[str](), Counter[str]()
    for fields in running.values():
        costs[fields["model"]] += int(fields["cost_ms"])
        images[fields["model"]] += int(fields["n"])
    for sums, what in ((costs, "leased_ms"), (images, "leased_images")):
        assert sums == {
            name.partition(":")[2]: load[what]
            for name, load in _all(found, "load").items()
            if what in load
        }, "what runs is summed up"


def _all(found: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name: rows for name, rows in found.items() if name.startswith(f"{kind}:")}
