"""A picture that may have overflowed in the VAE is decoded once more, in fp32."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
import torch

from latentry.contracts import Seamless
from latentry.errors import JobFailed, NonFiniteOutput
from worker.engine.inputs.canvas import Pixels
from worker.engine.job_failures import as_job_failed
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.vae.decode import Decoded, decode

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class Fp32Retry:
    """Decoded pictures of these latents, each of which may be decoded once more.

    In fp16 some VAEs overflow where the latent is finite. What fp32 says of it counts: a picture of
    one level is one if it is so in fp32 too. Whether it comes to that depends on the latent alone,
    so strict pictures keep their bits.
    """

    model: LoadedModel
    latents: Sequence[torch.Tensor]
    decoded: Decoded
    seamless: Seamless = Seamless.NONE

    @property
    def ready(self) -> bool:
        """Whether taking them would not wait, unless one has to be decoded again."""
        return self.decoded.ready

    def take(self) -> list[Pixels | JobFailed]:
        """RGB bytes [H, W, 3], or a JobFailed, for each latent."""
        pairs = zip(self.decoded.take(), self.latents, strict=True)
        return [
            self._retry(latent) if isinstance(answer, NonFiniteOutput) else answer
            for answer, latent in pairs
        ]

    def _retry(self, latent: torch.Tensor) -> Pixels | JobFailed:
        vae = self.model.vae
        if vae.dtype is torch.float32 or not bool(latent.isfinite().all()):
            return NonFiniteOutput()
        log.warning("vae.retried_in_fp32", model=self.model.card.id)
        try:
            with as_job_failed():
                in_fp32 = copy.deepcopy(vae).to(torch.float32)
                [answer] = decode(self.model, [latent], vae=in_fp32, seamless=self.seamless).take()
        except JobFailed as error:
            return error
        return answer
