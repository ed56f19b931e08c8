"""What images take besides their UNet calls: prompts in, pictures out, and the loop itself."""

from typing import Final

_ENOUGH: Final = 8  # images, before we say anything
_MOST: Final = 128  # images that are remembered; older ones count half, and half again


class Overhead:
    """Seconds per megapixel drawn, over the last images of all models.

    Calls of a GPU end later than the steps that began them: only the sums mean something.
    """

    def __init__(self) -> None:
        self._spent_s = 0.0
        self._megapixels = 0.0
        self._images = 0

    def spend(self, *, step_s: float, calls_s: float) -> None:
        """A step of the loop is over, and so are calls of this or an earlier one."""
        self._spent_s += step_s - calls_s

    def drew(self, megapixels: float) -> None:
        """A picture is done."""
        self._megapixels += megapixels
        self._images += 1
        if self._images >= _MOST:
            self._spent_s /= 2
            self._megapixels /= 2
            self._images //= 2

    @property
    def image_megapixel_s(self) -> float:
        """What to count for a megapixel; 0 until there is something to go by."""
        return max(0.0, self._spent_s) / self._megapixels if self._images >= _ENOUGH else 0.0
