"""Canny's edges (A computational approach to edge detection, 1986), as ControlNets were shown them.

The choices that the paper leaves open are those of OpenCV's `cv2.Canny`, by which the pictures of
their training were made: Sobel's gradients without a blur, L1 norm, the strongest channel.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.int32]

# tan(22.5°) in fixed point of 15 bits, as OpenCV compares directions.
_TAN_22: Final = 13573
_BITS: Final = 15
_WHITE: Final = np.uint8(255)
_REACH: Final = 2  # rows above and below one, on which its ridges depend


def canny(picture: npt.NDArray[np.uint8], low: int, high: int) -> npt.NDArray[np.uint8]:
    """White edges on black, RGB bytes [H, W, 3] of such a picture.

    An edge begins where the gradient is above `high`, and goes on while it is above `low`.
    """
    edges = Edges()
    edges.add(*ridges(picture, 0, len(picture), low, high))
    return edges.picture()


def ridges(
    picture: npt.NDArray[np.uint8], top: int, bottom: int, low: int, high: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Of the rows from `top` to `bottom`, [bottom - top, W] each: what may be an edge, and where
    one begins.
    """
    above = min(top, _REACH)
    across, down = _gradients(picture[top - above : bottom + _REACH])
    strength = np.abs(across) + np.abs(down)
    rows = slice(above, above + bottom - top)
    weak = _are_ridges(across, down, strength)[rows] & (strength[rows] > low)
    return weak, weak & (strength[rows] > high)


class Edges:
    """What hangs together with a beginning, corners included, of strips from top to bottom.

    Each strip is connected by itself, so that the whole takes no call as long as it is large.
    """

    def __init__(self) -> None:
        self._strips: list[npt.NDArray[np.int32]] = []  # the number of each pixel's part, or -1
        self._begun: list[npt.NDArray[np.bool_]] = []  # whether an edge begins in each part
        self._pairs = [np.empty((2, 0), np.int64)]  # parts of two strips that touch
        self._count = 0

    def add(self, weak: npt.NDArray[np.bool_], strong: npt.NDArray[np.bool_]) -> None:
        """The next strip, as `ridges` found it."""
        label = _connected(weak)
        is_first = label == np.arange(len(label))
        part = (np.cumsum(is_first) - 1)[label]
        begun = np.zeros(int(is_first.sum()), np.bool_)
        begun[part[strong[weak]]] = True
        strip = np.full(weak.shape, -1, np.int32)
        strip[weak] = part + self._count
        if self._strips:
            self._pairs += _touching(self._strips[-1][-1:], strip[:1])
        self._strips.append(strip)
        self._begun.append(begun)
        self._count += len(begun)

    def picture(self) -> npt.NDArray[np.uint8]:
        """White edges on black, RGB bytes [H, W, 3]."""
        label = _labels(self._count, np.concatenate(self._pairs, axis=1))
        is_edge = np.zeros(self._count + 1, np.bool_)  # the last one is that of no part, -1
        is_edge[label[np.concatenate(self._begun)]] = True
        is_edge[:-1] = is_edge[label]
        found: npt.NDArray[np.uint8] = is_edge[np.concatenate(self._strips)] * _WHITE
        return np.repeat(found[..., None], 3, axis=2)


def _gradients(picture: npt.NDArray[np.uint8]) -> tuple[Levels, Levels]:
    """Sobel's, [H, W] each, of the channel that changes most at a pixel."""
    edged = np.pad(picture.astype(np.int32), ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = edged[:-2] + 2 * edged[1:-1] + edged[2:]
    columns = edged[:, :-2] + 2 * edged[:, 1:-1] + edged[:, 2:]
    across, down = rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
    most = (np.abs(across) + np.abs(down)).argmax(axis=2)[..., None]
    return (
        np.take_along_axis(across, most, axis=2)[..., 0],
        np.take_along_axis(down, most, axis=2)[..., 0],
    )


def _are_ridges(across: Levels, down: Levels, strength: Levels) -> npt.NDArray[np.bool_]:
    """Where it is strongest along the gradient's direction, of which four are told apart."""
    around = np.pad(strength, 1)

    def beside(y: int, x: int) -> Levels:
        height, width = strength.shape
        return around[1 + y : 1 + y + height, 1 + x : 1 + x + width]

    x = np.abs(across).astype(np.int64)
    y = np.abs(down).astype(np.int64) << _BITS
    is_level = y < x * _TAN_22
    is_steep = y > x * _TAN_22 + (x << (_BITS + 1))
    rises = (across ^ down) < 0
    level = (strength > beside(0, -1)) & (strength >= beside(0, 1))
    steep = (strength > beside(-1, 0)) & (strength >= beside(1, 0))
    rising = (strength > beside(-1, 1)) & (strength > beside(1, -1))
    falling = (strength > beside(-1, -1)) & (strength > beside(1, 1))
    slanted = np.where(rises, rising, falling)
    return np.where(is_level, level, np.where(is_steep, steep, slanted))


def _connected(pixels: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """A label for each pixel that is set, in their order: equal where they hang together.

    By labels that halve in number each round, not along the edges: one may wind through the whole
    picture.
    """
    number = np.full(pixels.shape, -1, np.int64)
    number[pixels] = np.arange(pixels.sum())
    beside = number[:, :-1], number[:, 1:]
    pairs = [_both(*beside), *_touching(number[:-1], number[1:])]
    return _labels(int(pixels.sum()), np.concatenate(pairs, axis=1))


def _touching(above: npt.NDArray[Any], below: npt.NDArray[Any]) -> list[npt.NDArray[np.int64]]:
    """Pairs of those that touch, each row with the one below it, corners included."""
    return [
        _both(above, below),
        _both(above[:, 1:], below[:, :-1]),
        _both(above[:, :-1], below[:, 1:]),
    ]


def _both(here: npt.NDArray[Any], there: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Pairs where both have a number, [2, pairs]."""
    both = (here >= 0) & (there >= 0)
    return np.stack([here[both], there[both]]).astype(np.int64)


def _labels(count: int, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Equal for what hangs together: each set is hung below the lowest label that it meets."""
    label = np.arange(count)
    while pairs.size:
        ends = label[pairs]
        pairs = pairs[:, ends[0] != ends[1]]
        ends = np.sort(label[pairs], axis=0)
        np.minimum.at(label, ends[1], ends[0])
        while (label[label] != label).any():
            label = label[label]
    return label
