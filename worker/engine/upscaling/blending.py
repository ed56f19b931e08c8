"""Tiles that overlap, laid into one picture without visible seams."""

from collections.abc import Sequence
from itertools import pairwise

import torch

from latentry.rules.upscaling import OVERLAP_PX, Box


class Mosaic:
    """The picture that tiles become: 8-bit levels [3, H, W] on their device.

    They come row by row. Each is laid beside the one on its left, and each row of them below the
    one above, mixed in the middle of what they have in common. So what is near a tile's edge, and
    would differ if more were known around it, is not used: a quarter of OVERLAP_PX at least, in
    pixels of the input.
    """

    def __init__(self, tiles: Sequence[Box], scale: int, device: torch.device) -> None:
        self._tiles = tiles
        self._scale = scale
        self._before_x = _previous({tile.left for tile in tiles})
        self._before_y = _previous({tile.top for tile in tiles})
        last = tiles[-1]
        self._width = last.right
        shape = 3, last.bottom * scale, last.right * scale
        self.levels = torch.zeros(shape, dtype=torch.uint8, device=device)
        self._row = torch.zeros_like(self.levels[:, : last.size[0] * scale])

    def lay(self, number: int, made: torch.Tensor) -> None:
        """Lay the tile of this number, levels [3, h, w] from 0 to 1."""
        tile, s = self._tiles[number], self._scale
        height, width = tile.size
        place = self._row[:, :, tile.left * s : tile.right * s]
        ramp = _ramp(width, tile.left, self._before_x.get(tile.left), s, made.device)
        _mix(place, made.float() * 255, ramp)
        if tile.right == self._width:
            place = self.levels[:, tile.top * s : tile.bottom * s]
            ramp = _ramp(height, tile.top, self._before_y.get(tile.top), s, made.device)
            _mix(place, self._row.float(), ramp[:, None])


def _mix(below: torch.Tensor, above: torch.Tensor, weight: torch.Tensor) -> None:
    """Lay levels over others, where and as much as `weight` says."""
    under = below.float()
    below.copy_((under + weight * (above - under)).round().clamp(0, 255).to(torch.uint8))


def _previous(starts: set[int]) -> dict[int, int]:
    """Where the tile before each tile begins."""
    return {second: first for first, second in pairwise(sorted(starts))}


def _ramp(
    length: int, start: int, before: int | None, scale: int, device: torch.device
) -> torch.Tensor:
    """How much a tile counts along one side [length × scale]; `before`: where the last one starts.

    0 near its own edge, 1 near the other's, and linear in between.
    """
    if before is None:
        return torch.ones(length * scale, device=device)
    middle = (before + length - start) / 2
    at = (torch.arange(length * scale, device=device) + 0.5) / scale
    return ((at - middle) / (OVERLAP_PX / 2) + 0.5).clamp(0, 1)
