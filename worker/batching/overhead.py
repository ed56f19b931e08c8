"""Seconds of images outside their UNet calls: encoding, decoding, and the loop itself."""

from typing import Final

_ENOUGH: Final = 8  # images, before there is an estimate
_MOST: Final = 128  # images; then all that was counted is halved, so that older ones fade


class Overhead:
    """Seconds per megapixel drawn, averaged over the last images of all models.

    A GPU's calls end later than the steps that queued them: only sums over many steps mean
    something.
    """

    def __init__(self) -> None:
        self._spent_s = 0.0
        self._megapixels = 0.0
        self._images = 0

    def add_step(self, *, step_s: float, calls_s: float) -> None:
        """One step of the loop, and the UNet calls, of this or earlier steps, that ended in it."""
        self._spent_s += step_s - calls_s

    def add_image(self, megapixels: float) -> None:
        """One picture is done."""
        self._megapixels += megapixels
        self._images += 1
        if self._images >= _MOST:
            self._spent_s /= 2
            self._megapixels /= 2
            self._images //= 2

    @property
    def image_megapixel_s(self) -> float:
        """Seconds for a megapixel of picture; 0 until enough images were measured."""
        return max(0.0, self._spent_s) / self._megapixels if self._images >= _ENOUGH else 0.0
