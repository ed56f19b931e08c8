"""Who may not come in, and who has had enough for now. Part of the tree in `latentry.errors`.

LatentryError
├── Unauthenticated
├── InsufficientScope
├── HostRefused
└── Exhausted                   the caller's own limit; `retry_after_s` says how long it lasts
    ├── RateLimited
    ├── TooManyJobs
    └── QuotaExceeded
"""

from latentry.errors import LatentryError


class Unauthenticated(LatentryError):
    """This needs a valid API key: Authorization: Bearer ltk_…; `latentry keys` makes one."""

    code = "unauthenticated"


class InsufficientScope(LatentryError):
    """The API key is not made for this."""

    code = "insufficient_scope"


class HostRefused(LatentryError):
    """Without API keys only this machine's own names are answered; see LATENTRY_PUBLIC_URL."""

    code = "host_refused"


class Exhausted(LatentryError):
    """A limit of the API key is reached."""

    code = "exhausted"
    retryable = True

    def __init__(self, message: str | None = None, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(Exhausted):
    """The API key has made too many requests; wait as long as Retry-After says."""

    code = "rate_limited"


class TooManyJobs(Exhausted):
    """The API key has as many unfinished jobs as it may; wait for one to end, or cancel one."""

    code = "too_many_jobs"


class QuotaExceeded(Exhausted):
    """The API key's quota of this day (UTC) does not cover this; ask for less, or tomorrow."""

    code = "quota_exceeded"
