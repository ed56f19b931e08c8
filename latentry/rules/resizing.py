"""How a picture comes to another size: which part of it, how large, and in which strips. Pure."""

from dataclasses import dataclass
from typing import TypeAlias

from latentry.contracts import ResizeMode
from latentry.rules.upscaling import Box, strips

Size: TypeAlias = tuple[int, int]  # width and height, in pixels


@dataclass(frozen=True, slots=True)
class Strip:
    """Rows that get the new width, or columns that get the new height.

    The box is as large as what is read of them, or made, whichever is larger.
    """

    is_of_rows: bool
    box: Box


@dataclass(frozen=True, slots=True)
class Fit:
    """The part `box` of a picture of size `of`, at `size`; box: left, top, right, bottom."""

    of: Size
    box: tuple[float, float, float, float]
    size: Size

    @property
    def passes(self) -> list[bool]:
        """Whether of rows, or of columns, in their order: none that would change nothing.

        Levels are rounded between them, so the order counts. It is that of Pillow 13.
        """
        (width, height), (wide, high) = self.of, self.size
        needs_rows = (self.box[0], self.box[2], wide) != (0, width, width)
        needs_columns = (self.box[1], self.box[3], high) != (0, height, height)
        columns_first = high < height and height - high > 2 * (width - wide)
        order = [False, True] if columns_first else [True, False]
        return [of_rows for of_rows in order if (needs_rows if of_rows else needs_columns)]

    @property
    def strips(self) -> list[Strip]:
        """What is resized one after the other, pass by pass."""
        (width, height), (wide, high) = self.of, self.size
        found: list[Strip] = []
        for is_of_rows in self.passes:
            if is_of_rows:
                found += [Strip(True, box) for box in strips(max(width, wide), height)]
                width = wide
            else:
                turned = strips(max(height, high), width)
                found += [Strip(False, Box(at.top, 0, at.bottom, at.right)) for at in turned]
                height = high
        return found


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
