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
    return edges(*ridges(picture, 0, len(picture), low, high))


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


def edges(weak: npt.NDArray[np.bool_], strong: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """RGB bytes [H, W, 3] of what `ridges` found: white is what hangs together with a beginning."""
    found: npt.NDArray[np.uint8] = _connected(weak, strong) * _WHITE
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


def _connected(pixels: npt.NDArray[np.bool_], seeds: npt.NDArray[np.bool_]) -> Any:
    """Those that hang together with a seed, corners included.

    By labels that halve in number each round, not along the edges: one may wind through the whole
    picture.
    """
    height, width = pixels.shape
    number = np.full((height + 2, width + 2), -1, np.int64)
    number[1:-1, 1:-1][pixels] = np.arange(pixels.sum())
    pairs = []
    for y, x in ((0, 1), (1, -1), (1, 0), (1, 1)):
        here, there = number[1:-1, 1:-1], number[1 + y : 1 + y + height, 1 + x : 1 + x + width]
        both = (here >= 0) & (there >= 0)
        pairs.append(np.stack([here[both], there[both]]))
    label = _labels(int(pixels.sum()), np.concatenate(pairs, axis=1))
    is_seeded = np.zeros(len(label), np.bool_)
    is_seeded[label[seeds[pixels]]] = True
    found = np.zeros_like(pixels)
    found[pixels] = is_seeded[label]
    return found


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
