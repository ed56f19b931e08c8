"""Who may not come in, and who has had enough for now."""

from latentry.errors.tree import Exhausted, LatentryError


class LinkRefused(LatentryError):
    """This link is not valid or has expired; read the job again for a fresh one."""

    code = "link_refused"


class Unauthenticated(LatentryError):
    """This needs a valid API key: Authorization: Bearer ltk_…; `latentry keys` makes one."""

    code = "unauthenticated"


class InsufficientScope(LatentryError):
    """The API key is not made for this."""

    code = "insufficient_scope"


class HostRefused(LatentryError):
    """Without API keys only this machine's own names are answered; see LATENTRY_PUBLIC_URL."""

    code = "host_refused"


class RateLimited(Exhausted):
    """The API key has made too many requests; wait as long as Retry-After says."""

    code = "rate_limited"


class TooManyJobs(Exhausted):
    """The API key has as many unfinished jobs as it may; wait for one to end, or cancel one."""

    code = "too_many_jobs"


class QuotaExceeded(Exhausted):
    """The API key's quota of this day (UTC) does not cover this; ask for less, or tomorrow."""

    code = "quota_exceeded"


class FileQuotaExceeded(Exhausted):
    """No more files can be kept; delete some, or wait for the oldest to expire."""

    code = "file_quota_exceeded"
