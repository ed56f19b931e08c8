"""When to try a call again. Every call of this API may be repeated: POSTs carry a key."""

import random
from dataclasses import dataclass
from typing import Final

import httpx

from latentry.client.errors import ApiError, Unreachable
from latentry.errors import LatentryError

# What one attempt came to.
Outcome = httpx.Response | httpx.TransportError
# Too many calls; and what a gateway, or a proxy before it, says while it restarts.
PASSING: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retries:
    """How many attempts a call gets, and the pauses between them, in seconds."""

    attempts: int = 5
    first_s: float = 0.5
    longest_s: float = 30.0

    def pause_s(self, attempt: int, outcome: Outcome) -> float | None:
        """The pause after the attempt of this number (from 1); None when its outcome is final.

        Full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015), after what the service
        asked for; a service that asks for more than `longest_s` is not waited for.
        """
        asked_s = _retry_after_s(outcome)
        if attempt >= self.attempts or not _is_passing(outcome) or asked_s > self.longest_s:
            return None
        ceiling_s = min(self.longest_s, self.first_s * 2 ** (attempt - 1))
        return asked_s + random.uniform(0, ceiling_s)  # noqa: S311 - jitter, not a secret


def error_of(outcome: Outcome) -> LatentryError:
    """What to raise when there is no further attempt."""
    if isinstance(outcome, httpx.Response):
        return ApiError.of(outcome)
    origin = outcome.request.url.copy_with(raw_path=b"/")
    return Unreachable(f"{origin} does not answer: {str(outcome) or type(outcome).__name__}.")


def _is_passing(outcome: Outcome) -> bool:
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in PASSING
    return not isinstance(outcome, httpx.UnsupportedProtocol)


def _retry_after_s(outcome: Outcome) -> float:
    if not isinstance(outcome, httpx.Response):
        return 0.0
    asked = outcome.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else 0.0
