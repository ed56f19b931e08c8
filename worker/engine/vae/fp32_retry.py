"""A picture that the VAE spoilt is decoded once more, in fp32."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
import torch

from latentry.errors import JobFailed, NonFiniteOutput, OutOfMemory
from worker.engine.loop.messages import Pixels
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.vae.decode import Decoded, decode

log = structlog.get_logger()

_WHOLE: Final = torch.float32


@dataclass(frozen=True, slots=True, eq=False)
class Fp32Retry:
    """Decoded pictures, each of which may be tried again.

    In fp16 some VAEs overflow where the latent is sound. It depends on the latent alone, so strict
    pictures stay what they are.
    """

    model: LoadedModel
    latents: Sequence[torch.Tensor]
    decoded: Decoded

    @property
    def ready(self) -> bool:
        """Whether taking them would not wait, unless one is spoilt."""
        return self.decoded.ready

    def take(self) -> list[Pixels | JobFailed]:
        """One answer for each latent, in their order."""
        pairs = zip(self.decoded.take(), self.latents, strict=True)
        return [
            self._again(latent) if isinstance(answer, NonFiniteOutput) else answer
            for answer, latent in pairs
        ]

    def _again(self, latent: torch.Tensor) -> Pixels | JobFailed:
        vae = self.model.vae
        if vae.dtype is _WHOLE or not bool(latent.isfinite().all()):
            return NonFiniteOutput()
        log.warning("vae.overflowed", model=self.model.card.id)
        try:
            [answer] = decode(self.model, [latent], vae=copy.deepcopy(vae).to(_WHOLE)).take()
        except torch.OutOfMemoryError:
            return OutOfMemory()
        return answer
