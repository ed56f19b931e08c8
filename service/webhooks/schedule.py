"""What an answer means, and when to try again. Pure."""

from typing import Final

from latentry.contracts import DeliveryStatus

# As Standard Webhooks advises: ten attempts in three days and a bit.
PAUSES_S: Final = (
    5,
    5 * 60,
    30 * 60,
    2 * 3600,
    5 * 3600,
    10 * 3600,
    14 * 3600,
    20 * 3600,
    24 * 3600,
)


def verdict(status: int | None, tries: int) -> DeliveryStatus:
    """What becomes of a delivery after so many tries, the last of them answered so (or not)."""
    if status is not None and 200 <= status < 300:
        return DeliveryStatus.DELIVERED
    if status == 410:  # the receiver asks for peace
        return DeliveryStatus.DISABLED
    return DeliveryStatus.WAITING if tries <= len(PAUSES_S) else DeliveryStatus.EXHAUSTED


def pause_s(tries: int, chance: float) -> float:
    """How long to wait after so many tries: half to one and a half times the schedule's pause.

    Chance, from 0 to 1, keeps receivers that were away from being met by all their notices at once.
    """
    return PAUSES_S[min(tries, len(PAUSES_S)) - 1] * (0.5 + chance)
