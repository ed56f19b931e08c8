"""Accounts: which API key pays for a job, its limits at once and in a day, and what it has used."""

import json
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final, TypeAlias

from latentry.errors import Exhausted, QuotaExceeded, TooManyJobs
from latentry.ledger.connection import Command
from latentry.rules.pricing import Price

# The payer where there are no API keys.
NO_KEY: Final = "-"
DAY_MS: Final = 86_400_000
USAGE_TTL_MS: Final = 400 * DAY_MS
_EPOCH: Final = date(1970, 1, 1)
_RETRY_AFTER_S: Final = 5
_RULE: Final = "rule:"
# The name of a rule, and what it did.
Applied: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Account:
    """Who is charged for a job, and the limits; 0 sets none.

    A job's cost is counted in step-pixels, millionths of a step-megapixel.
    """

    payer: str = NO_KEY
    max_jobs: int = 0
    max_step_pixels: int = 0
    usage_ttl_ms: int = USAGE_TTL_MS

    def charge(self, price: Price) -> dict[str, str | int]:
        """The account as `create` reads it, with what a job of this price costs."""
        each = round(price.step_megapixels * 1e6 / price.images)
        return {
            "payer": self.payer,
            "max_jobs": self.max_jobs,
            "max_step_pixels": self.max_step_pixels,
            "usage_ttl_ms": self.usage_ttl_ms,
            "image_step_pixels": each,
            "step_pixels": each * price.images,
        }


def refusal(why: str, left_step_pixels: int, wait_ms: int) -> Exhausted:
    """The error for a job that its payer may not have now."""
    if why == TooManyJobs.code:
        return TooManyJobs(retry_after_s=_RETRY_AFTER_S)
    left = max(left_step_pixels, 0) / 1e6
    return QuotaExceeded(
        f"The API key has {left:.2f} step-megapixels left today (UTC), fewer than the job needs.",
        retry_after_s=-(-wait_ms // 1000),
    )


@dataclass(frozen=True, slots=True)
class DayUsage:
    """What one payer used on one day. `rules`: how often each rule did what."""

    day: date
    payer: str
    jobs: dict[str, int]
    images: int
    step_pixels: int
    rules: dict[str, dict[str, int]] = field(default_factory=dict)


def count_rules(tenant: str, account: Account, applied: Sequence[Applied]) -> Command[bool]:
    """Count rules that a request met of which no job came. This very command counts once."""
    args = (tenant, account.payer, account.usage_ttl_ms, secrets.token_hex(8), json.dumps(applied))
    return Command("accounts/count_rules", args, bool)


def read_usage(tenant: str, first: date, last: date) -> Command[list[DayUsage]]:
    """What a tenant's keys used, day by day, both ends included."""
    days = [first + timedelta(number) for number in range((last - first).days + 1)]

    def read(answer: Sequence[Any]) -> list[DayUsage]:
        return [
            used for day, flat in zip(days, answer, strict=True) for used in _day_usage(day, flat)
        ]

    return Command("accounts/read_usage", (tenant, *((day - _EPOCH).days for day in days)), read)


def _day_usage(day: date, flat: Sequence[str]) -> list[DayUsage]:
    payers: dict[str, dict[str, int]] = {}
    for name, amount in zip(flat[::2], flat[1::2], strict=True):
        payer, _, what = name.partition(":")
        payers.setdefault(payer, {})[what] = int(amount)
    return [
        DayUsage(
            day=day,
            payer=payer,
            images=row.pop("images", 0),
            step_pixels=row.pop("step_pixels", 0),
            rules=_rules(row),
            jobs={what: row[what] for what in sorted(row) if _is_state(what)},
        )
        for payer, row in sorted(payers.items())
        if row.keys() != {"charged"}
    ]


def _is_state(what: str) -> bool:
    return what != "charged" and not what.startswith(_RULE)


def _rules(row: Mapping[str, int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for what in sorted(row):
        if what.startswith(_RULE):
            name, action = what.removeprefix(_RULE).rsplit(":", 1)
            found[name][action] = row[what]
    return dict(found)
