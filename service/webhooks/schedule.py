"""What a response means for a delivery, and when to retry. Pure."""

from typing import Final

from latentry.contracts import DeliveryStatus

# The retry schedule that Standard Webhooks recommends: ten attempts within about three days.
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


def status_after(tries: int, response: int | None) -> DeliveryStatus:
    """A delivery's status after its latest attempt.

    `tries` counts the attempts so far; `response` is the HTTP status of the latest, None without
    one.
    """
    if response is not None and 200 <= response < 300:
        return DeliveryStatus.DELIVERED
    if response == 410:  # Gone: the receiver wants no more webhooks
        return DeliveryStatus.DISABLED
    return DeliveryStatus.WAITING if tries <= len(PAUSES_S) else DeliveryStatus.EXHAUSTED


def pause_s(tries: int, chance: float) -> float:
    """Seconds until the next attempt after so many tries: the scheduled pause with jitter.

    `chance`, random from 0 to 1, scales the pause by 0.5 to 1.5, so that the retries of one outage
    do not arrive together.
    """
    return PAUSES_S[min(tries, len(PAUSES_S)) - 1] * (0.5 + chance)
