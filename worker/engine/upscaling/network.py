"""Super-resolution networks as spandrel reads them, tile by tile."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latentry.contracts import ResolvedUpscale, UpscalerCard
from latentry.errors import NonFiniteOutput
from latentry.rules.upscaling import tiles
from worker.engine.inputs.canvas import Pixels
from worker.engine.loop.backend import Pictures, Taken
from worker.engine.timing import Timing
from worker.engine.upscaling.blending import Mosaic
from worker.engine.upscaling.lanczos import Resampling
from worker.engine.upscaling.upscaler import Upscaler


@dataclass(frozen=True, slots=True, eq=False)
class Network(Upscaler):
    """A network in memory: RGB [1, 3, h, w] from 0 to 1, in `dtype`, to the same, enlarged.

    descriptor: spandrel's, which pads what is too small and cuts levels to that range. test_s: as
    in `Tool`.
    """

    card: UpscalerCard
    descriptor: Any
    device: torch.device
    dtype: torch.dtype
    timer: Timing
    profile: str
    test_s: float = 0.0

    @property
    def size_bytes(self) -> int:
        """Of its weights in memory."""
        return sum(tensor.nbytes for tensor in self.descriptor.model.state_dict().values())

    @torch.inference_mode()
    def enlarged(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The picture [3, H, W], and whether all that the network made of it are numbers.

        That is asked before levels are cut to their range, which makes white of infinity.
        """
        finite = torch.ones((), dtype=torch.bool, device=self.device)

        def look(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
            nonlocal finite
            finite = output.isfinite().all()

        hook = self.descriptor.model.register_forward_hook(look)
        try:
            [made] = self.descriptor(image)
        finally:
            hook.remove()
        return made, finite

    def begin(self, request: ResolvedUpscale, picture: Pixels) -> "TiledEnlargement":
        """Begin with RGB bytes [height, width, 3]."""
        return TiledEnlargement(self, request, picture)


class TiledEnlargement:
    """One picture: first its tiles, and if less is asked for than the network makes, strips of
    that, scaled down.
    """

    is_done = False

    def __init__(self, network: Network, request: ResolvedUpscale, picture: Pixels) -> None:
        self._network = network
        height, width = picture.shape[:2]
        self._size = request.final_size
        self._tiles = tiles(width, height, network.card.tile)
        self._source = torch.from_numpy(np.array(picture)).to(network.device)
        self._mosaic = Mosaic(self._tiles, int(network.card.scale), network.device)
        self._is_finite = torch.ones((), dtype=torch.bool, device=network.device)
        self._resampling: Resampling | None = None

    def make(self, call: int) -> None:
        """Make one tile, or one strip. Raises NonFiniteOutput."""
        if call < len(self._tiles):
            self._make_tile(call)
        else:
            self._make_strip(call - len(self._tiles))

    @torch.inference_mode()
    def _make_tile(self, call: int) -> None:
        box = self._tiles[call]
        part = self._source[box.top : box.bottom, box.left : box.right]
        image = part.permute(2, 0, 1)[None].float() / 255
        made, finite = self._network.enlarged(image.to(self._network.dtype))
        self._is_finite &= finite
        self._mosaic.lay(call, made)

    def _make_strip(self, strip: int) -> None:
        if self._resampling is None:
            self._resampling = Resampling(self._picture(), self._size)
        self._resampling.make(strip)

    def take(self) -> Pictures:
        """The finished picture. Raises NonFiniteOutput."""
        if self._resampling is not None:
            return self._resampling.take()
        return Taken([self._picture()])

    def _picture(self) -> Pixels:
        """RGB bytes [H, W, 3] on the host. Waits for the device. Raises NonFiniteOutput."""
        if not bool(self._is_finite):
            raise NonFiniteOutput("The upscaler produced non-finite values.")
        return self._mosaic.levels.permute(1, 2, 0).contiguous().cpu().numpy()
