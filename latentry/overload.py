"""What is more than we can do. Part of the tree in `latentry.errors`.

LatentryError
├── InvalidRequest
│   └── RequestTooExpensive     at any time
└── Unavailable                 for now: `retry_after_s` says how long
    ├── DeadlineUnreachable
    └── LedgerUnavailable
        └── LedgerFull
"""

from latentry.errors import InvalidRequest, LedgerUnavailable, Unavailable


class RequestTooExpensive(InvalidRequest):
    """The request is more work than one may ask for at once."""

    code = "request_too_expensive"


class DeadlineUnreachable(Unavailable):
    """The job would start too late."""

    code = "deadline_unreachable"


class LedgerFull(LedgerUnavailable):
    """The ledger has no memory left for another job; those that end make room."""

    code = "queue_storage_full"
