"""The base classes of all errors.

The first line of a docstring is the message that users read.
"""

from collections.abc import Mapping


class LatentryError(Exception):
    """An internal error occurred."""

    code: str = "internal"
    retryable: bool = False
    retry_after_s: float | None = None  # seconds; None: unknown

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (self.__doc__ or self.code).strip().splitlines()[0]
        super().__init__(self.message)


class InvalidRequest(LatentryError):
    """The request is invalid."""

    code = "invalid_request"

    def __init__(
        self, message: str | None = None, *, fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})  # JSON pointer to what is wrong there


class NotFound(LatentryError):
    """The resource does not exist."""

    code = "not_found"


class Unavailable(LatentryError):
    """The service is temporarily unavailable."""

    code = "unavailable"
    retryable = True

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class JobFailed(LatentryError):
    """The job ended without images."""

    code = "job_failed"


class ConfigurationError(LatentryError):
    """Invalid configuration."""

    code = "configuration"


class Exhausted(LatentryError):
    """A limit of the API key is reached."""

    code = "exhausted"
    retryable = True

    def __init__(self, message: str | None = None, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
