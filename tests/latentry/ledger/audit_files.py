"""What must be true of files: who pins them, and what a tenant is charged for."""

from collections import Counter

from latentry.ledger import Ledger

SIZE = 3  # bytes of each file of a test


def audit_files(ledger: Ledger, live: dict[str, dict[str, str]]) -> None:
    """`live`: the records of the jobs that have not ended."""
    client, root = ledger.client, f"{ledger.root}:"
    names = [name.removeprefix(root) for name in client.keys(f"{root}*")]
    named = {name.removeprefix("file:") for name in names if name.startswith("file:")}
    pinned: dict[str, set[str]] = {}
    for ref, fields in live.items():
        for file in fields.get("files", "").split():
            pinned.setdefault(file, set()).add(ref)
    found = [name.removeprefix("pins:") for name in names if name.startswith("pins:")]
    assert {file: client.smembers(f"{root}pins:{file}") for file in found} == pinned
    assert pinned.keys() <= named, "what is pinned is there"
    assert set(client.zrange(f"{root}fileends", 0, -1)) == named, "all is removed one day"
    of_tenant = Counter(file.partition(":")[0] for file in named)
    for tenant in ("one", "two"):
        assert int(client.get(f"{root}filebytes:{tenant}") or 0) == SIZE * of_tenant[tenant]
        assert client.zcard(f"{root}files:{tenant}") == of_tenant[tenant]
