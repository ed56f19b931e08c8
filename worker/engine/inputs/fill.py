"""Colours for pixels that are not known, from those around them."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating[Any]]


def filled(pixels: npt.NDArray[np.uint8], unknown: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """The picture [H, W, 3] with smooth colours at unknown [H, W]; all others keep theirs.

    Pull-push of Gortler et al. 1996, "The Lumigraph": means of what is known, over squares that
    double until nothing is missing. Without a known pixel the picture is returned as it is.
    """
    if unknown.all() or not unknown.any():
        return pixels
    weights = (~unknown).astype(np.float32)[..., None]
    smooth = _pull_push(pixels * weights, weights)
    return np.where(unknown[..., None], smooth.round().clip(0, 255).astype(np.uint8), pixels)


def _pull_push(sums: Array, weights: Array) -> Array:
    """Colours [H, W, C] of sums over weights, and where a weight is 0 those of larger squares."""
    known = sums / np.maximum(weights, 1e-6)
    if weights.min() > 0:
        return known
    coarse = _pull_push(_halved(sums), _halved(weights))
    height, width = weights.shape[:2]
    return np.where(weights > 0, known, _doubled(coarse)[:height, :width])


def _halved(values: Array) -> Array:
    height, width, channels = values.shape
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    halves: Array = even.reshape((height + 1) // 2, 2, (width + 1) // 2, 2, channels).sum((1, 3))
    return halves


def _doubled(values: Array) -> Array:
    """Twice as large, and linear between the middles of squares."""
    for axis in (0, 1):
        edge = np.pad(values, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        middle, length = values, values.shape[axis]
        before = np.take(edge, range(length), axis)
        after = np.take(edge, range(2, length + 2), axis)
        pairs = [0.75 * middle + 0.25 * before, 0.75 * middle + 0.25 * after]
        shape = list(values.shape)
        shape[axis] = 2 * length
        values = np.stack(pairs, axis + 1).reshape(shape)
    return values
