"""How a picture comes to another size: which part of it is shown, how large, in which strips. Pure."""

from dataclasses import dataclass
from typing import TypeAlias

from latentry.contracts import ResizeMode
from latentry.rules.upscaling import Box, strips

Size: TypeAlias = tuple[int, int]  # width and height, in pixels


@dataclass(frozen=True, slots=True)
class Fit:
    """The part `box` of a picture of size `of`, at `size`; box: left, top, right, bottom."""

    of: Size
    box: tuple[float, float, float, float]
    size: Size

    @property
    def rows(self) -> list[Box]:
        """Strips of the picture's rows, as wide as they are or become; none if that is the same."""
        (width, height), wide = self.of, self.size[0]
        if (self.box[0], self.box[2], wide) == (0, width, width):
            return []
        return strips(max(width, wide), height)

    @property
    def columns(self) -> list[Box]:
        """Strips of the columns of what has its width by then, likewise."""
        height, (wide, high) = self.of[1], self.size
        if (self.box[1], self.box[3], high) == (0, height, height):
            return []
        turned = strips(max(height, high), wide)
        return [Box(one.top, 0, one.bottom, one.right) for one in turned]


def fit(of: Size, to: Size, mode: ResizeMode) -> Fit:
    """A picture of one size at another; with `pad` it may be smaller than that."""
    box = 0.0, 0.0, float(of[0]), float(of[1])
    match mode:
        case ResizeMode.STRETCH:
            return Fit(of, box, to)
        case ResizeMode.CROP:
            return Fit(of, _covering(of, to), to)
        case ResizeMode.PAD:
            scale = min(to[0] / of[0], to[1] / of[1])
            return Fit(of, box, (max(1, round(of[0] * scale)), max(1, round(of[1] * scale))))


def _covering(of: Size, to: Size) -> tuple[float, float, float, float]:
    """The largest box of this shape in the middle of the picture."""
    scale = max(to[0] / of[0], to[1] / of[1])
    wide, high = min(to[0] / scale, of[0]), min(to[1] / scale, of[1])
    left, top = (of[0] - wide) / 2, (of[1] - high) / 2
    return left, top, left + wide, top + high
