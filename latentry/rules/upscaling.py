"""Upscales: in which calls they are made, what they cost, and what they may not ask. Pure."""

import itertools
from dataclasses import dataclass
from math import ceil
from typing import Final

from latentry.contracts import ResolvedUpscale, UpscalerCard
from latentry.errors import ImageTooLarge, UnsupportedSize
from latentry.rules.limits.outputs import refuse_impossible_output
from latentry.rules.pricing import NOMINAL_STEP_MEGAPIXEL_S, Price

# What two neighbouring tiles of a network have in common, in pixels of its input. Twice what lies
# between a tile's edge and what is used of it.
OVERLAP_PX: Final = 32
STRIP_PIXELS: Final = 256 * 1024  # of a result that is made in strips, in one call
MAX_SIDE_PX: Final = 16_383  # of a WebP file; other formats hold more


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels, its right and bottom excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    @property
    def area(self) -> int:
        """Pixels."""
        return (self.bottom - self.top) * (self.right - self.left)


def tiles(width: int, height: int, side: int) -> list[Box]:
    """Tiles of one size that cover a picture, row by row; `side` at most in each direction.

    Neighbours overlap by OVERLAP_PX at least. Equal sizes, because a network's bits depend on it.
    """
    rows, columns = _starts(height, side), _starts(width, side)
    tall, wide = min(height, side), min(width, side)
    return [Box(left, top, left + wide, top + tall) for top in rows for left in columns]


def strips(width: int, height: int) -> list[Box]:
    """Strips of a picture, from top to bottom, of about STRIP_PIXELS each."""
    count = min(height, ceil(width * height / STRIP_PIXELS))
    edges = [height * k // count for k in range(count + 1)]
    return [Box(0, top, width, bottom) for top, bottom in itertools.pairwise(edges)]


def call_sizes(request: ResolvedUpscale, card: UpscalerCard) -> list[tuple[int, int]]:
    """Height and width of what each call makes: a network's tiles, and strips of what is resampled.

    Empty while the picture's size is not known.
    """
    if not request.image.width * request.image.height:
        return []
    drawn = _tile_sizes(request, card)
    if drawn and request.scale == card.scale:
        return drawn
    return drawn + [one.size for one in strips(*request.final_size)]


def price_upscale(request: ResolvedUpscale, card: UpscalerCard) -> Price:
    """Its cost by the pixels that are made, overlaps of tiles included.

    A network's result that is scaled down by Lanczos costs what the network does.
    """
    sizes = (card.tile and _tile_sizes(request, card)) or call_sizes(request, card)
    megapixels = sum(height * width for height, width in sizes) / 1e6
    pace = card.pace
    each_s = pace.step_megapixel_s if pace else NOMINAL_STEP_MEGAPIXEL_S
    return Price(
        step_megapixels=round(megapixels, 6),
        cost_ms=max(1, round(megapixels * each_s * 1000)),
        seats=pace.images_at_once if pace else 0,
    )


def _tile_sizes(request: ResolvedUpscale, card: UpscalerCard) -> list[tuple[int, int]]:
    if not card.tile:
        return []
    found = [one.size for one in tiles(request.image.width, request.image.height, card.tile)]
    return [(round(high * card.scale), round(wide * card.scale)) for high, wide in found]


def refuse_impossible_upscale(
    request: ResolvedUpscale, card: UpscalerCard, *, max_pixels: int
) -> None:
    """Raises UnsupportedSize, ImageTooLarge or UnsupportedField.

    `max_pixels`: of what is made of the picture, before it may be scaled down.
    """
    if request.scale > card.scale:
        why = f"{card.id} enlarges {card.scale:g} times at most."
        raise UnsupportedSize(why, fields={"/scale": why})
    refuse_impossible_output(request)
    width, height = request.image.width, request.image.height
    if not width * height:  # its size is known once it is fetched
        return
    if request.final_size == (width, height):
        why = f"{width} × {height} pixels would not grow."
        raise UnsupportedSize(why, fields={"/scale": why})
    made = request.scale if not card.tile else card.scale
    large = width * made * height * made
    if large > max_pixels or max(width, height) * made > MAX_SIDE_PX:
        why = (
            f"{width} × {height} pixels times {made:g} are too many: at most {max_pixels} pixels"
            f" are made, and sides of {MAX_SIDE_PX}."
        )
        raise ImageTooLarge(why, fields=dict.fromkeys(("/image", "/scale"), why))


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin along a side: evenly, from the first pixel to the last."""
    if length <= side:
        return [0]
    count = ceil((length - side) / (side - OVERLAP_PX)) + 1
    return [round(k * (length - side) / (count - 1)) for k in range(count)]
