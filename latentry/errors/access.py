"""Authentication, authorisation and the limits of a key."""

from latentry.errors.base import Exhausted, LatentryError


class LinkRefused(LatentryError):
    """The link is invalid or has expired; read the job again for a new one."""

    code = "link_refused"


class Unauthenticated(LatentryError):
    """A valid API key is required: Authorization: Bearer ltk_…; see `latentry keys create`."""

    code = "unauthenticated"


class InsufficientScope(LatentryError):
    """The API key lacks the required scope."""

    code = "insufficient_scope"


class HostRefused(LatentryError):
    """Without API keys, Host must be a name of this machine or LATENTRY_PUBLIC_URL's."""

    code = "host_refused"


class RateLimited(Exhausted):
    """The API key has sent too many requests; retry after the seconds in Retry-After."""

    code = "rate_limited"


class TooManyJobs(Exhausted):
    """The API key's limit of unfinished jobs is reached; wait for one to end or cancel one."""

    code = "too_many_jobs"


class QuotaExceeded(Exhausted):
    """The API key's quota for this day (UTC) does not cover the request."""

    code = "quota_exceeded"


class FileQuotaExceeded(Exhausted):
    """The tenant's file quota is reached; delete a file or wait for the oldest to expire."""

    code = "file_quota_exceeded"
