"""When to retry a call. Every call may be repeated: POSTs carry an idempotency key."""

import random
from dataclasses import dataclass
from typing import Final

import httpx

from latentry.client.errors import ApiError, tls_failure, unreachable
from latentry.errors import LatentryError

# The outcome of one attempt.
Outcome = httpx.Response | httpx.TransportError
# Too many calls, and what a gateway or a proxy before it returns while it restarts.
TRANSIENT: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retries:
    """The number of attempts per call, and the pauses between them in seconds."""

    attempts: int = 5
    first_s: float = 0.5
    longest_s: float = 30.0

    def pause_s(self, attempt: int, outcome: Outcome) -> float | None:
        """Seconds to wait after attempt number `attempt` (from 1); None if the outcome is final.

        Full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015) on top of Retry-After. If
        that is more than `longest_s`, the call is not retried.
        """
        retry_after_s = _retry_after_s(outcome)
        if attempt >= self.attempts or not _is_transient(outcome) or retry_after_s > self.longest_s:
            return None
        ceiling_s = min(self.longest_s, self.first_s * 2 ** (attempt - 1))
        return retry_after_s + random.uniform(0, ceiling_s)  # noqa: S311 - jitter, not a secret


def error_of(outcome: Outcome) -> LatentryError:
    """The error to raise when no attempt is left."""
    if isinstance(outcome, httpx.Response):
        return ApiError.of(outcome)
    return unreachable(outcome)


def _is_transient(outcome: Outcome) -> bool:
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in TRANSIENT
    return not (isinstance(outcome, httpx.UnsupportedProtocol) or tls_failure(outcome))


def _retry_after_s(outcome: Outcome) -> float:
    if not isinstance(outcome, httpx.Response):
        return 0.0
    header = outcome.headers.get("Retry-After", "")
    return float(header) if header.isdecimal() else 0.0
