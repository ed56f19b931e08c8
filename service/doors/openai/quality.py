"""OpenAI's quality as a number of steps."""

from typing import Final

from latentry.contracts import ModelCard
from service.doors.openai.fields import Quality

# Times the steps that the model's card has for requests that name none.
_FACTORS: Final = {
    Quality.LOW: 0.5,
    Quality.HIGH: 1.5,
    Quality.HD: 1.5,
    Quality.XHIGH: 2.0,
    Quality.MAX: 3.0,
}
# What an answer may say, as OpenAI's does.
_SAID: Final = {
    Quality.AUTO: Quality.MEDIUM,
    Quality.STANDARD: Quality.MEDIUM,
    Quality.HD: Quality.HIGH,
}


def steps(quality: Quality, card: ModelCard) -> int:
    """How many steps make an image of this quality, within the model's limits."""
    wanted = card.defaults.num_inference_steps * _FACTORS.get(quality, 1.0)
    return max(1, min(round(wanted), card.limits.max_steps))


def said(quality: Quality | None) -> Quality:
    """What the answer calls it."""
    return _SAID.get(quality or Quality.AUTO, quality or Quality.MEDIUM)
