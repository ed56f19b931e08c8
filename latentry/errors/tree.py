"""The branches of the tree of errors."""

from collections.abc import Mapping


class LatentryError(Exception):
    """Something went wrong in latentry."""

    code: str = "internal"
    retryable: bool = False

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (self.__doc__ or self.code).strip().splitlines()[0]
        super().__init__(self.message)


class InvalidRequest(LatentryError):
    """The request cannot be carried out as it stands."""

    code = "invalid_request"

    def __init__(
        self, message: str | None = None, *, fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})  # what is wrong where: JSON pointer to sentence


class NotFound(LatentryError):
    """There is nothing at this address."""

    code = "not_found"


class Unavailable(LatentryError):
    """The service cannot do this right now."""

    code = "unavailable"
    retryable = True

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s  # None: nobody knows


class JobFailed(LatentryError):
    """The job ended without its pictures."""

    code = "job_failed"


class ConfigurationError(LatentryError):
    """The settings do not make a service."""

    code = "configuration"


class Exhausted(LatentryError):
    """A limit of the API key is reached."""

    code = "exhausted"
    retryable = True

    def __init__(self, message: str | None = None, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
