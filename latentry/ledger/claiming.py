"""Claims jobs, and fails those whose record cannot be read: one such must not block all others."""

import structlog

from latentry.contracts import JobStatus
from latentry.ledger.connection import Command, Ledger
from latentry.ledger.leases import Claims, UnreadableRecord
from latentry.ledger.refs import JobRef

log = structlog.get_logger()


def run_claim(ledger: Ledger, claim: Command[Claims]) -> Claims:
    """Run a claim; fail the jobs whose record cannot be read, and return the other leases.

    Raises LedgerUnavailable.
    """
    while True:
        try:
            return ledger.run(claim)
        except UnreadableRecord as error:  # repeated, the claim returns the others
            log.error("record.unreadable", job=JobRef.parse(error.ref).id)
            failed = (error.ref, error.fence, JobStatus.FAILED, error.code, error.message)
            ledger.run(Command("worker/settle", failed, bool))
