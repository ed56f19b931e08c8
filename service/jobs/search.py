"""Pages of a tenant's jobs, and how many match what a client asks for."""

from typing import Final

from latentry.ledger import AsyncLedger, JobRecord
from latentry.ledger.commands import LOOKED_AT, JobFilter, find_jobs, list_jobs

# Jobs that one request may have looked at; a client goes on with the cursor.
MOST_LOOKED_AT: Final = 10_000


async def page(
    ledger: AsyncLedger, tenant: str, like: JobFilter, *, below: int | None, limit: int
) -> tuple[list[JobRecord], int | None]:
    """The newest jobs that match below a sequence number, and the one that the next page is below.

    A page may be short of jobs although others follow: where few match. Raises LedgerUnavailable.
    """
    if not like:
        every = await ledger.run(list_jobs(tenant, below=below, limit=limit + 1))
        known = [record for record in every[:limit] if record]
        return known, known[-1].sequence if known and len(every) > limit else None
    found: list[JobRecord] = []
    for _ in range(MOST_LOOKED_AT // LOOKED_AT):
        wanted = limit - len(found)
        one = await ledger.run(find_jobs(tenant, like, below=below, limit=wanted))
        found += [record for record in one.records if record]
        below = one.below
        if below is None or len(one.records) == wanted:
            break
    return found, below


async def count(ledger: AsyncLedger, tenant: str, like: JobFilter) -> int:
    """How many of a tenant's newest MOST_LOOKED_AT jobs match. Raises LedgerUnavailable."""
    total, below = 0, None
    for _ in range(MOST_LOOKED_AT // LOOKED_AT):
        one = await ledger.run(find_jobs(tenant, like, below=below, limit=0))
        total, below = total + one.matching, one.below
        if below is None:
            break
    return total
