"""The options of an instance, as JSON."""

from dataclasses import dataclass
from typing import Final

from latentry.ledger.connection import Command

OPTIONS_TTL_MS: Final = 30 * 86_400_000  # from when they were last used


@dataclass(frozen=True, slots=True)
class InstanceRef:
    """Whose instance it is."""

    tenant: str
    key_id: str


def get_options(whose: InstanceRef) -> Command[str | None]:
    """The options that were set last, as JSON; None if none were, or long ago."""
    args = (whose.tenant, whose.key_id, OPTIONS_TTL_MS)
    return Command("instances/get_options", args, lambda answer: answer or None)


def set_options(whose: InstanceRef, options: str, *, known: str | None) -> Command[bool]:
    """Set all options, as JSON. False, and nothing is set, if they are no longer as was `known`."""
    args = (whose.tenant, whose.key_id, OPTIONS_TTL_MS, options, known or "")
    return Command("instances/set_options", args, bool)
