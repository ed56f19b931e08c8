"""Circular padding: an image whose opposite edges meet."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import torch
from torch.nn.functional import pad
from torch.overrides import TorchFunctionMode

from latentry.contracts import Seamless

# Cells of a latent beyond its edges from which its first pixels are made, where a VAE works in
# tiles, each of which would meet itself.
_SURROUNDINGS: Final = 16
_NAMES: Final = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


def padded(seamless: Seamless) -> AbstractContextManager[Any]:
    """Around a call: its convolutions pad with what is at the opposite edge, in these directions.

    As `padding_mode="circular"` does, which A1111 and others set on every module. Here no module is
    touched: torch asks this mode about each function that the thread calls, and only inside.
    """
    return nullcontext() if seamless is Seamless.NONE else _CircularConvolutions(seamless)


def surrounded(latents: torch.Tensor, seamless: Seamless) -> tuple[torch.Tensor, int, int]:
    """Latents [B, C, h, w] with their own opposite edges around them, how many rows and columns."""
    high, wide = latents.shape[2:]
    rows = min(_SURROUNDINGS, high) if seamless in (Seamless.Y, Seamless.BOTH) else 0
    columns = min(_SURROUNDINGS, wide) if seamless in (Seamless.X, Seamless.BOTH) else 0
    return pad(latents, (columns, columns, rows, rows), mode="circular"), rows, columns


class _CircularConvolutions(TorchFunctionMode):
    def __init__(self, seamless: Seamless) -> None:
        super().__init__()
        self._x = seamless in (Seamless.X, Seamless.BOTH)
        self._y = seamless in (Seamless.Y, Seamless.BOTH)

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """The function's own result, except for a convolution with padding."""
        if function is not torch.conv2d:
            return function(*args, **(kwargs or {}))
        given = dict(zip(_NAMES, args, strict=False)) | dict(kwargs or {})
        padding = given.get("padding", 0)
        rows, columns = (padding, padding) if isinstance(padding, int) else padding
        y, x = rows if self._y else 0, columns if self._x else 0
        if x or y:
            given["input"] = pad(given["input"], (x, x, y, y), mode="circular")
            given["padding"] = (rows - y, columns - x)
        return function(**given)
