"""The errors that the SDK raises, all of one base; `from latentry import ApiError, …` has them all.

LatentryError           message, code, retryable, retry_after_s
├── InvalidRequest      it was refused before it was sent
├── ConfigurationError  the base URL, a proxy, the certificates or a time cannot be used
├── ApiError            the service refused the call: status, errors, request_id
├── Unreachable         the service did not respond, after all retries
│   ├── ProxyFailed     a proxy of the environment did not
│   └── TlsFailed       its certificate is not trusted, or it speaks no TLS
├── StillRunning        the timeout passed before the job ended
├── JobDidNotSucceed    the job ended without images
└── WebhookRefused      a notification is not from the service
"""

import re
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
from pydantic import ValidationError

from latentry.client.http.transports import EXTENSION
from latentry.contracts import Job, Problem
from latentry.errors import LatentryError

# Too slow, too many calls, and what a gateway or a proxy before it returns while it restarts.
TRANSIENT: Final = frozenset({408, 429, 502, 503, 504})
# Numbers that the words after them say, and other systems have others.
_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")


class ApiError(LatentryError):
    """The service refused the call."""

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.code = problem.code
        self.status = problem.status
        self.errors = problem.errors
        self.request_id = problem.request_id
        self.retry_after_s = retry_after_s
        self.retryable = problem.status in TRANSIENT

    def __str__(self) -> str:
        request = f", request {self.request_id}" if self.request_id else ""
        return f"{self.message} ({self.code}{request})"

    @classmethod
    def of(cls, response: httpx.Response) -> "ApiError":
        """The error in a response whose body has been read, problem document or not."""
        try:
            return cls(Problem.model_validate_json(response.content), retry_after_s(response))
        except ValidationError:
            return cls.foreign(response)

    @classmethod
    def foreign(cls, response: httpx.Response) -> "ApiError":
        """That a response is not the gateway's, but a proxy's or another service's."""
        title = response.reason_phrase or "Unexpected response"
        proxy = response.request.extensions.get(EXTENSION)
        via = f" through the proxy of {proxy}" if proxy else ""
        url = public(response.request.url)
        return cls(
            Problem(
                type="about:blank",
                title=title,
                status=response.status_code,
                detail=f"{url} returned {response.status_code} {title}{via}{_hint(response)}",
                code=f"http_{response.status_code}",
                request_id=response.headers.get("X-Request-Id"),
            ),
            retry_after_s(response),
        )


def public(url: httpx.URL) -> httpx.URL:
    """A URL as messages have it: without a password, or the signature that opens an image."""
    return url.copy_with(userinfo=b"", query=None, fragment=None)


def _hint(response: httpx.Response) -> str:
    """The end of the sentence."""
    if response.is_redirect and (moved := response.headers.get("Location")):
        there = public(response.request.url.join(moved))
        return f" to {there}; let the base URL be the final one."
    if not response.is_success:
        return "."
    return (
        ", which is not latentry's answer; is the base URL right? Or does a proxy change what it"
        " says?"
    )


def retry_after_s(response: httpx.Response) -> float | None:
    """The seconds in `Retry-After`, which may be a date (RFC 9110, section 10.2.3)."""
    header = response.headers.get("Retry-After", "").strip()
    if header.isdecimal():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    now = datetime.now(UTC) if at.tzinfo else datetime.now(UTC).replace(tzinfo=None)
    return max(0.0, (at - now).total_seconds())


class Unreachable(LatentryError):
    """The service does not respond."""

    code = "unreachable"
    retryable = True


class ProxyFailed(Unreachable):
    """The service cannot be reached through the proxy."""

    code = "proxy_failed"


class TlsFailed(Unreachable):
    """The service cannot be reached over TLS."""

    code = "tls_failed"

    @classmethod
    def of(cls, origin: httpx.URL, error: ssl.SSLError) -> "TlsFailed":
        """Why the handshake failed, and what to do."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return cls(
                f"The certificate of {origin} is not trusted ({error.verify_message}). If its"
                " authority is your own, set SSL_CERT_FILE to the authority's PEM file."
            )
        return cls(f"{origin} does not speak TLS ({error.reason}); is its URL http://…?")


def unreachable(error: httpx.RequestError) -> Unreachable:
    """What stood between us and the service: a proxy, TLS, or that it does not respond."""
    origin = public(error.request.url).copy_with(raw_path=b"/")
    why = _ERRNO.sub("", str(error)) or type(error).__name__
    if proxy := error.request.extensions.get(EXTENSION):
        host = error.request.url.host
        return ProxyFailed(
            f"{origin} cannot be reached through the proxy of {proxy}: {why}. To do without it,"
            f" add {host} to NO_PROXY."
        )
    if failure := tls_failure(error):
        return TlsFailed.of(origin, failure)
    return Unreachable(f"{origin} does not respond: {why}.")


def tls_failure(error: BaseException | None) -> ssl.SSLError | None:
    """The failure of a handshake beneath an error, unless the connection just broke off."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            return error
        error = error.__cause__ or error.__context__
    return None


class StillRunning(LatentryError):
    """The job has not ended within the timeout; it continues."""

    code = "still_running"
    retryable = True

    def __init__(self, job: Job) -> None:
        super().__init__(f"Job {job.id} is still {job.status} after the timeout.")
        self.job = job


class JobDidNotSucceed(LatentryError):
    """The job ended without images."""

    code = "job_did_not_succeed"

    def __init__(self, job: Job) -> None:
        why = f": {job.error.message} ({job.error.code})" if job.error else "."
        super().__init__(f"Job {job.id} ended as {job.status}{why}")
        self.job = job
