"""Captions: in which calls they are made, and what they cost. Pure."""

from latentry.contracts import CaptionerCard, ResolvedCaption
from latentry.rules.pricing import NOMINAL_STEP_MEGAPIXEL_S, Price

TOKEN_ROWS = 16  # of the picture's pixels, by which a token's call is counted


def caption_calls(request: ResolvedCaption, card: CaptionerCard) -> list[tuple[int, int]]:
    """Height and width that each call counts for: looking at the picture, and each token."""
    return [(card.side, card.side), *[(TOKEN_ROWS, card.side)] * request.max_tokens]


def price_caption(request: ResolvedCaption, card: CaptionerCard) -> Price:
    """Its cost, as if all of its tokens were needed."""
    megapixels = sum(height * width for height, width in caption_calls(request, card)) / 1e6
    pace = card.pace
    each_s = pace.step_megapixel_s if pace else NOMINAL_STEP_MEGAPIXEL_S
    return Price(
        step_megapixels=round(megapixels, 6),
        cost_ms=max(1, round(megapixels * each_s * 1000)),
        seats=pace.images_at_once if pace else 0,
    )
