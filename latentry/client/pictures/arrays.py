"""Arrays of pixels as pictures: numpy's, by the interface that they have; numpy is not imported."""

from typing import Any, Final, Protocol, runtime_checkable

from latentry.client.pictures.png import CHANNELS, png
from latentry.errors import InvalidRequest

_BYTES: Final = "|u1"
_BOOLEANS: Final = "|b1"


@runtime_checkable
class Array(Protocol):
    """What is used of `numpy.ndarray`: height × width, or height × width × channels."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of its axes."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Its type, `typestr`, and where its bytes are."""

    def tobytes(self) -> bytes:
        """The bytes, row by row, wherever they are in memory."""


def array_png(array: Array) -> bytes:
    """A PNG of pixels: uint8 in grey, RGB or RGBA, channels last; or bool, where True is white.

    Raises InvalidRequest for what could mean more than one picture, and says how to choose one.
    """
    kind = array.__array_interface__["typestr"]
    if kind not in (_BYTES, _BOOLEANS):
        raise InvalidRequest(
            f"An array of pixels must be uint8 (or bool), not {getattr(array, 'dtype', kind)}. If"
            " 1.0 is white, pass (array * 255).round().clip(0, 255).astype('uint8')."
        )
    width, height, channels = _size(array.shape)
    pixels = array.tobytes()
    if kind == _BOOLEANS:
        pixels = pixels.translate(bytes([0]) + bytes([255]) * 255)
    return png(width, height, channels, pixels)


def _size(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Width, height and channels."""
    height, width, channels = (*shape, 1) if len(shape) == 2 else (*shape, 0, 0, 0)[:3]
    if len(shape) not in (2, 3) or channels not in CHANNELS or not (height and width):
        first = len(shape) == 3 and shape[0] in CHANNELS
        raise InvalidRequest(
            "An array of pixels must have the shape (height, width), or (height, width, channels)"
            f" with 1, 3 or 4 channels, not {shape}."
            + (" For channels first, pass array.transpose(1, 2, 0)." if first else "")
        )
    return width, height, channels
