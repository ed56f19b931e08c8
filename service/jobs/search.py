"""Pages of a tenant's jobs, and how many match what a client asks for."""

from typing import Final

from latentry.ledger import AsyncLedger, JobRecord
from latentry.ledger.commands import JobFilter, find_jobs

# Jobs that one request may have looked at; a client goes on with the cursor.
MOST_LOOKED_AT: Final = 10_000


async def page(
    ledger: AsyncLedger, tenant: str, like: JobFilter, *, below: int | None, limit: int
) -> tuple[list[JobRecord], int | None]:
    """The newest jobs that match below a sequence number, and the one that the next page is below.

    A page may be short of jobs although others follow: where few match. Raises LedgerUnavailable.
    """
    found: list[JobRecord] = []
    looked_at = 0
    while looked_at < MOST_LOOKED_AT:
        wanted = limit - len(found)
        one = await ledger.run(find_jobs(tenant, like, below=below, limit=wanted))
        found += [record for record in one.records if record]
        looked_at, below = looked_at + one.looked_at, one.below
        if below is None or len(one.records) == wanted:
            break
    return found, below


async def count(ledger: AsyncLedger, tenant: str, like: JobFilter) -> int:
    """How many of a tenant's newest MOST_LOOKED_AT jobs match. Raises LedgerUnavailable."""
    total, looked_at, below = 0, 0, None
    while looked_at < MOST_LOOKED_AT:
        one = await ledger.run(find_jobs(tenant, like, below=below, limit=0))
        total, looked_at = total + one.matching, looked_at + one.looked_at
        below = one.below
        if below is None:
            break
    return total
