"""The ledger in Redis: records, waiting lines, leases and events. The only code that moves a job.

A command is a value (`latentry.jobs.commands`), one atomic script each; `Ledger` runs it from a
thread and `AsyncLedger` from an event loop.
"""

from latentry.jobs.feed import Feed, News, PassingNews, PreviewNews, StepNews
from latentry.jobs.ledger import AsyncLedger, Command, Ledger
from latentry.jobs.records import JobRecord, JobRef, Lease, LedgerEvent, NewJob

__all__ = [
    "AsyncLedger",
    "Command",
    "Feed",
    "JobRecord",
    "JobRef",
    "Lease",
    "Ledger",
    "LedgerEvent",
    "NewJob",
    "News",
    "PassingNews",
    "PreviewNews",
    "StepNews",
]
