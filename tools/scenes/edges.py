"""Outlines of a picture by Canny's method: white lines, a pixel wide, on black.

John Canny, "A computational approach to edge detection", 1986: smooth, differentiate, thin, and
keep weak edges where they join strong ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]
LOW, HIGH = 100, 200  # of Sobel's gradient, the usual thresholds of ControlNet's preprocessors
GAUSSIAN = np.array([1, 4, 6, 4, 1], np.float32) / np.float32(16)


def canny(picture: Picture, low: float = LOW, high: float = HIGH) -> npt.NDArray[np.bool_]:
    """Where the edges of a picture of height × width × 3 bytes are: height × width."""
    dx, dy = _gradient(picture)
    length = np.abs(dx) + np.abs(dy)
    thin = _thinned(length, dx, dy)
    edges, weak = thin & (length > high), thin & (length > low)
    while True:
        grown = weak & _spread(edges)
        if np.array_equal(grown, edges):
            return edges
        edges = grown


def as_picture(edges: npt.NDArray[np.bool_]) -> Picture:
    """The edges as white on black, height × width × 3 bytes."""
    return np.repeat(edges[..., None].astype(np.uint8) * 255, 3, axis=-1)


def _gradient(picture: Picture) -> tuple[Field, Field]:
    """Sobel's, of the channel in which it is longest."""
    smooth = picture.astype(np.float32)
    for axis in (0, 1):
        smooth = _along(smooth, GAUSSIAN, axis)
    ramp, mean = np.array([-1, 0, 1], np.float32), np.array([1, 2, 1], np.float32)
    dx, dy = _along(_along(smooth, ramp, 1), mean, 0), _along(_along(smooth, ramp, 0), mean, 1)
    channel = (np.abs(dx) + np.abs(dy)).argmax(-1)[..., None]
    return (
        np.take_along_axis(dx, channel, -1)[..., 0],
        np.take_along_axis(dy, channel, -1)[..., 0],
    )


def _along(values: Field, weights: Field, axis: int) -> Field:
    """Correlate along an axis; the border continues outwards."""
    reach = len(weights) // 2
    around = [(reach, reach) if number == axis else (0, 0) for number in range(values.ndim)]
    padded = np.pad(values, around, mode="edge")
    length = values.shape[axis]
    parts = [
        weight * np.take(padded, np.arange(start, start + length), axis)
        for start, weight in enumerate(weights)
    ]
    total: Field = np.sum(parts, axis=0)
    return total


def _thinned(length: Field, dx: Field, dy: Field) -> npt.NDArray[np.bool_]:
    """Where the gradient is longest along its own direction, of four."""
    padded = np.pad(length, 1)
    height, width = length.shape
    octant = np.round(np.arctan2(dy, dx) / (np.pi / 4)).astype(int) % 4
    steps = ((0, 1), (1, 1), (1, 0), (1, -1))  # rows, columns
    keep = np.zeros(length.shape, bool)
    for number, (down, right) in enumerate(steps):
        ahead = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        behind = padded[1 - down : 1 - down + height, 1 - right : 1 - right + width]
        keep |= (octant == number) & (length > ahead) & (length >= behind)
    return keep


def _spread(edges: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The edges and all their neighbours."""
    padded = np.pad(edges, 1)
    height, width = edges.shape
    near = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    spread: npt.NDArray[np.bool_] = np.logical_or.reduce(near)
    return spread
