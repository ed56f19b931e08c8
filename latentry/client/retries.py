"""When to retry a call. Every call may be repeated: POSTs carry an idempotency key."""

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from latentry.client.errors import TRANSIENT, ApiError, retry_after_s, tls_failure, unreachable
from latentry.errors import ConfigurationError, LatentryError

# The outcome of one attempt.
Outcome = httpx.Response | httpx.RequestError


@dataclass(slots=True)
class RetryBudget:
    """How many retries a client makes altogether, so that many calls do not become a flood.

    `reserve` retries at first, and one more for each 1 / `per_call` calls, up to that again. One
    that the service asked for by `Retry-After` costs nothing: it says itself what it can take.
    """

    reserve: float = 100.0
    per_call: float = 0.1
    _left: float = field(init=False)
    _lock: threading.Lock = field(init=False, repr=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._left = self.reserve

    def earn(self) -> None:
        """Another call was made."""
        with self._lock:
            self._left = min(self.reserve, self._left + self.per_call)

    def spend(self) -> bool:
        """Take one retry, if there is one left."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True


@dataclass(frozen=True, slots=True)
class Retries:
    """The number of attempts per call, and the pauses between them in seconds.

    A wait for a job with a timeout is retried until then; one without is retried for `outage_s`
    seconds since the service last responded, as it may be restarting. Clients that are given the
    same Retries share its budget. Raises ConfigurationError for what is no number of them.
    """

    attempts: int = 5
    first_s: float = 0.5
    longest_s: float = 30.0
    outage_s: float = 120.0
    budget: RetryBudget = field(default_factory=RetryBudget, compare=False, repr=False)

    def __post_init__(self) -> None:
        times = (self.first_s, self.longest_s, self.outage_s)
        if self.attempts < 1 or not all(seconds >= 0 for seconds in times):  # NaN is not
            raise ConfigurationError("Retries need 1 attempt or more, and 0 or more seconds.")

    def pause_s(self, attempt: int, outcome: Outcome, left_s: float | None = None) -> float | None:
        """Seconds to wait after attempt number `attempt` (from 1); None if the outcome is final.

        Full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015) on top of Retry-After. If
        that is more than `longest_s`, the call is not retried. `left_s`: retry for so many seconds
        instead of `attempts` times, whatever the budget: such a wait has a single call.
        """
        asked_s = (retry_after_s(outcome) or 0.0) if isinstance(outcome, httpx.Response) else 0.0
        is_over = attempt >= self.attempts if left_s is None else left_s <= 0
        if is_over or not _is_transient(outcome) or asked_s > self.longest_s:
            return None
        if left_s is None and not asked_s and not self.budget.spend():
            return None
        ceiling_s = min(self.longest_s, self.first_s * 2 ** min(attempt - 1, 30))
        pause_s = asked_s + random.uniform(0, ceiling_s)  # noqa: S311 - jitter, not a secret
        return pause_s if left_s is None else min(pause_s, left_s)


@dataclass(slots=True)
class Endurance:
    """How long a wait for a job goes on while the service does not respond."""

    retries: Retries
    deadline: float = math.inf
    """On `clock`; without one, `outage_s` counts."""
    clock: Callable[[], float] = time.monotonic
    _failures: int = 0
    _lost_at: float = field(default=0.0)

    def responded(self) -> None:
        """The service responds."""
        self._failures = 0

    def pause_s(self, outcome: Outcome) -> float | None:
        """Seconds to wait after this failure; None if the wait is over or the outcome is final."""
        now = self.clock()
        if not self._failures:
            self._lost_at = now
        self._failures += 1
        left_s: float | None = self.deadline - now
        if left_s == math.inf:
            is_long = self._failures >= self.retries.attempts
            left_s = self._lost_at + self.retries.outage_s - now if is_long else None
        return self.retries.pause_s(self._failures, outcome, left_s)


def error_of(outcome: Outcome) -> LatentryError:
    """The error to raise when no attempt is left."""
    if isinstance(outcome, httpx.Response):
        return ApiError.of(outcome)
    return unreachable(outcome)


def _is_transient(outcome: Outcome) -> bool:
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in TRANSIENT
    if not isinstance(outcome, httpx.TransportError) or tls_failure(outcome):
        return False
    return not isinstance(outcome, httpx.UnsupportedProtocol)
