"""The ledger in Redis: records, waiting lines, leases and events. The only code that moves a job.

A command is a value (`latentry.ledger.commands`), one atomic script each; `Ledger` runs it from a
thread and `AsyncLedger` from an event loop.
"""

from latentry.ledger.connection import AsyncLedger, Command, Ledger
from latentry.ledger.feed import Feed, JobUpdate, PreviewUpdate, StepUpdate, TransientUpdate
from latentry.ledger.records import JobEnd, JobRecord, JobRef, Lease, LedgerEvent, NewJob

__all__ = [
    "AsyncLedger",
    "Command",
    "Feed",
    "JobEnd",
    "JobRecord",
    "JobRef",
    "JobUpdate",
    "Lease",
    "Ledger",
    "LedgerEvent",
    "NewJob",
    "PreviewUpdate",
    "StepUpdate",
    "TransientUpdate",
]
