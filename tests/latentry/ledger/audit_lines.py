"""The waiting lines and the leases against the records: who is where, and what it all costs."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

Fields = Mapping[str, str]


def audit_lines(found: Mapping[str, Any], queued: Mapping[str, Fields]) -> None:
    """Each waiting job is in its model's line and in its own part of it, and is counted there."""
    lines: dict[str, dict[str, int]] = {}
    parts: dict[str, dict[str, int]] = {}
    wants, load, tenants = Counter[tuple[str, str]](), Counter[str](), dict[str, set[str]]()
    for ref, fields in queued.items():
        tenant, model, cost = ref.partition(":")[0], fields["model"], int(fields["cost_ms"])
        lines.setdefault(f"line:{model}", {})[ref] = int(fields["turn"])
        load[model] += cost
        if fields["crashes"] == "0":
            parts.setdefault(f"part:{model}:{tenant}", {})[ref] = int(fields["place"])
            wants[tenant, model] += cost
            tenants.setdefault(model, set()).add(tenant)
        else:
            suspects = "suspects" if fields["crashes"] == "1" else "loners"
            parts.setdefault(f"{suspects}:{model}", {})[ref] = -1
    assert lines == _all(found, "line"), "the line holds who waits"
    apart = {
        name: dict.fromkeys(rows, -1)
        for kind in ("suspects", "loners")
        for name, rows in _all(found, kind).items()
    }
    assert parts == _all(found, "part") | apart, "by place, and suspects apart"
    assert wants == {
        (name[6:], model): cost
        for name, costs in _all(found, "wants").items()
        for model, cost in costs.items()
    }, "what a tenant waits for is summed up"
    assert load == {
        name[5:]: sums["waiting_ms"]
        for name, sums in _all(found, "load").items()
        if "waiting_ms" in sums
    }, "and so is what a line holds"
    for kind in ("turns", "weights"):
        those = {name.partition(":")[2]: set(rows) for name, rows in _all(found, kind).items()}
        assert those == tenants, "who waits has a turn and a weight, and nobody else"


def audit_leases(found: Mapping[str, Any], running: Mapping[str, Fields]) -> None:
    """Each running job has its lease, and is counted there."""
    assert found.get("leases", {}).keys() == running.keys(), "what runs is leased (I5)"
    costs, images = Counter[str](), Counter[str]()
    for fields in running.values():
        costs[fields["model"]] += int(fields["cost_ms"])
        images[fields["model"]] += int(fields["n"])
    for sums, what in ((costs, "leased_ms"), (images, "leased_images")):
        assert sums == {
            name[5:]: load[what] for name, load in _all(found, "load").items() if what in load
        }, "what runs is summed up"


def _all(found: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name: rows for name, rows in found.items() if name.startswith(f"{kind}:")}
