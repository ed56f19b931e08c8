"""What must be true of the ledger's keys whatever happened, read without the ledger's own code."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from latentry.contracts import EventType, JobStatus
from latentry.ledger import JobRef, Ledger
from latentry.ledger.commands import POISON_CRASHES
from tests.latentry.ledger.audit_deliveries import audit_deliveries
from tests.latentry.ledger.audit_files import audit_files
from tests.latentry.ledger.audit_queues import audit_leases, audit_queues
from tests.latentry.ledger.factory import BOUNDED

NUMBERS = {
    "sequence",
    "fence",
    "crashes",
    "deaths",
    "claims",
    "score",
    "step",
    "steps",
    "reached",
    "v",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One job as its keys show it."""

    state: JobStatus
    fields: dict[str, str]
    events: list[EventType]
    ids: list[str]
    checkpoints: int
    held_bytes: int

    @property
    def deaths(self) -> int:
        """Workers that died at it, whatever came of it since."""
        return int(self.fields.get("deaths", 0))

    @property
    def images(self) -> set[int]:
        labels = [name.split(":") for name in self.fields if name.startswith("output:")]
        return {int(index) for _, kind, index, _ in labels if kind in ("image", "frame")}


def audit(ledger: Ledger) -> dict[JobRef, Entry]:
    """Every job there is, after each invariant was checked. The ledger must be at rest."""
    found = _read(ledger)
    refs = [name.removeprefix("job:") for name in found if name.startswith("job:")]
    entries = {ref: _entry(found, ref) for ref in refs}
    queued = {ref for ref, entry in entries.items() if entry.state is JobStatus.QUEUED}
    running = {ref for ref, entry in entries.items() if entry.state is JobStatus.RUNNING}
    ended = entries.keys() - queued - running

    audit_queues(found, {ref: entries[ref].fields for ref in queued})
    audit_leases(found, {ref: entries[ref].fields for ref in running})
    places = Counter([*queued, *found.get("leases", {}), *ended])
    assert places == dict.fromkeys(entries, 1), "a job waits, runs or has ended: one of them (I5)"

    dues = {ref for ref in running if "finish_by_ms" in entries[ref].fields}
    assert found.get("deadlines", {}).keys() == queued | dues, "what has an end, is ended by then"
    assert found.get("retention", {}).keys() == entries.keys(), "all that exists is removed one day"
    accounts = dict(found.get("checkpoints", {}))
    assert sum(accounts.values()) == 2 * accounts.get("total", 0), "each byte is charged for once"
    assert accounts.keys() - {"total"} <= entries.keys() - ended, "an end needs no checkpoint"
    _audit_books(found, entries)
    audit_files(ledger, {ref: entries[ref].fields for ref in queued | running})
    jobs = {ref: (entry.fields, entry.events) for ref, entry in entries.items()}
    audit_deliveries(ledger, jobs)
    shelved = [ref for name, rows in found.items() if name.startswith("jobs:") for ref in rows]
    assert sorted(shelved) == sorted(entries), "each tenant sees its jobs"
    return {JobRef.parse(ref): entry for ref, entry in entries.items()}


def _audit_books(found: dict[str, Any], entries: dict[str, Entry]) -> None:
    """Every job that ever entered has not ended, or was written down as ended: once."""
    live = {ref: entry for ref, entry in entries.items() if not entry.state.is_terminal}
    pages = [rows for name, rows in found.items() if name.startswith("usage:")]
    ends = {status.value for status in JobStatus if status.is_terminal}
    ended = sum(
        count for rows in pages for what, count in rows.items() if what.split(":")[1] in ends
    )
    assert ended + len(live) == found.get("sequence", 0), (
        "no end is counted twice, and none is missed"
    )
    assert all(count >= 0 for rows in pages for count in rows.values())
    bounded = {ref for name, refs in found.items() if name.startswith("active:") for ref in refs}
    assert bounded == {ref for ref in live if live[ref].fields["payer"] == BOUNDED}


def _entry(found: dict[str, Any], ref: str) -> Entry:
    fields, ttl_ms = found[f"job:{ref}"]
    rows, events_ttl_ms = found[f"events:{ref}"]
    sizes = found.get(f"checkpoint:{ref}", [])
    entry = Entry(
        state=JobStatus(fields["state"]),
        fields=fields,
        events=[EventType(row["type"]) for _, row in rows],
        ids=[id for id, _ in rows],
        checkpoints=len(sizes),
        held_bytes=found.get("checkpoints", {}).get(ref, 0),
    )
    assert not sizes or entry.held_bytes == sum(sizes), "it takes what it is charged for"
    for name, value in fields.items():
        if name.endswith("_ms") or name in NUMBERS:
            assert value.isdecimal(), f"{name} is an integer, not {value}"
    assert int(fields["crashes"]) <= POISON_CRASHES, "crashes are capped (I6)"
    if entry.state is JobStatus.SUCCEEDED:
        by_ms = int(fields.get("finish_by_ms", fields["finished_ms"]))
        assert int(fields["finished_ms"]) <= by_ms, "nothing succeeds after its deadline (I8)"
    ends = [kind for kind in entry.events if kind.is_terminal]
    assert ends == ([entry.state.value] if entry.state.is_terminal else []), "one end at most (I2)"
    assert not any(kind.is_terminal for kind in entry.events[:-1]), "and nothing after it (I4)"
    assert entry.events.count(EventType.IMAGE) == len(entry.images)
    assert (ttl_ms > 0) == entry.state.is_terminal, "what has ended does not stay for ever"
    assert events_ttl_ms > 0, "nor do its events"
    return entry


def _read(ledger: Ledger) -> dict[str, Any]:
    """Every key but counters: sorted sets as they are, records and streams with their time left."""
    root = f"{ledger.root}:"
    names = [name.removeprefix(root) for name in ledger.client.keys(f"{root}*")]
    with ledger.client.pipeline(transaction=False) as pipe:
        kept = [name for name in names if _ask(pipe, root, name)]
        answers = iter(pipe.execute())
    found: dict[str, Any] = {}
    for name in kept:
        if name.startswith(("job:", "events:")):
            found[name] = (next(answers), next(answers))
        elif name.startswith("checkpoint:"):
            found[name] = [size for size in (next(answers), next(answers)) if size]
            assert next(answers) > 0, "checkpoints go by themselves"
        elif name.startswith("active:"):
            found[name] = next(answers)
        elif name.startswith("usage:"):
            found[name] = {what: int(count) for what, count in next(answers).items()}
            assert next(answers) > 0, "usage is not stored for ever"
        elif name == "sequence":
            found[name] = int(next(answers))
        elif name.partition(":")[0] in _SUMS:
            found[name] = {what: int(size) for what, size in next(answers).items()}
        else:
            rows = dict(next(answers))
            assert all(score == int(score) for score in rows.values()), "scores are integers"
            found[name] = rows
    return found


def _ask(pipe: Any, root: str, name: str) -> bool:
    kind, key = name.partition(":")[0], root + name
    if kind in _ZSETS:
        pipe.zrange(key, 0, -1, withscores=True)
        return True
    match kind:
        case "job" | "usage":
            pipe.hgetall(key).pttl(key)
        case "events":
            pipe.xrange(key).pttl(key)
        case "checkpoint":  # of the images 0 and 1
            pipe.hstrlen(key, "0").hstrlen(key, "1").pttl(key)
        case "active":
            pipe.smembers(key)
        case kind if kind in _SUMS:
            pipe.hgetall(key)
        case "sequence":
            pipe.get(key)
        case _:
            return False
    return True


_SUMS = {"checkpoints", "waiting_cost", "user_cost", "user_time", "weights", "load"}
_ZSETS = {
    *("queue", "tenant_queue", "suspects", "quarantined", "tenants", "tags"),
    *("named_queue", "users", "user_queue", "user_tags"),
    *("jobs", "leases", "deadlines", "retention"),
}
