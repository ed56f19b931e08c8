"""The ledger in Redis: jobs, queues, leases and events. The only code that moves a job.

A command is a value, one atomic Lua script each; `Ledger` runs it from a thread, `AsyncLedger` from
an event loop. Every command may be repeated, so a lost reply does no harm.

`connection`   runs commands against Redis
`server`       TLS to Redis, what its errors mean, and whether it is what the service needs
`commands`     all commands about jobs, models and workers
`scripts`      the texts of `lua/`, each with what it uses of `lua/prelude/`; it has its
               command's name, in a folder for the module of that
`redis_keys`   all keys and channels: types, contents, times to live
`refs`         full names of jobs and files
`jobs`         a job when it is created, stored and ended
`leases`       a worker's right to run a job; `claiming` takes them
`catalogue`    all that workers serve, with their workers and queues
`feed`         events and progress as they happen, for gateways
`signals`      a queue got longer, a job is to stop: for workers
`accounts`     who pays for a job, and what was used
`keyring`      API keys
`instances`    options and tasks of a key, for a front API without job ids
`files`        pictures that callers upload
`deliveries`   webhook deliveries
"""

from latentry.ledger.catalogue import (
    AnyEntry,
    CaptionerEntry,
    CatalogueEntry,
    PreprocessorsEntry,
    UpscalerEntry,
)
from latentry.ledger.connection import AsyncLedger, Command, Ledger
from latentry.ledger.feed import (
    Feed,
    JobUpdate,
    LedgerEvent,
    PreviewUpdate,
    StepUpdate,
    TransientUpdate,
    event_order,
)
from latentry.ledger.jobs import Accepted, JobEnd, JobRecord, NewJob
from latentry.ledger.leases import Lease, UnreadableRecord
from latentry.ledger.refs import JobRef

__all__ = [
    "Accepted",
    "AnyEntry",
    "AsyncLedger",
    "CaptionerEntry",
    "CatalogueEntry",
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
    "PreprocessorsEntry",
    "PreviewUpdate",
    "StepUpdate",
    "TransientUpdate",
    "UnreadableRecord",
    "UpscalerEntry",
    "event_order",
]
