"""What a sampler carries from call to call."""

from dataclasses import dataclass

import torch

from worker.engine.diffusion.start.noise import NoiseSource
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.samplers import STATE_ROWS


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """From where an image can be resumed: before this call, without features of an earlier one.

    state [5, C, h, w]. source: the noise source's state. drawn [C, h, w]: noise that was drawn for
    this call already, if any. predicted_x0 [C, h, w]: of the call before, if it is kept.
    """

    call: int
    state: torch.Tensor
    source: torch.Tensor
    drawn: torch.Tensor | None
    predicted_x0: torch.Tensor | None = None


@dataclass(slots=True, eq=False)
class SamplerState:
    """latents [5, C, h, w]: x and what the sampler remembers, in fp32, on the device.

    source: of this image's noise. drawn [C, h, w]: noise for a call that has not succeeded so far.
    """

    latents: torch.Tensor
    source: NoiseSource
    drawn: torch.Tensor | None = None

    @classmethod
    def of(cls, x: torch.Tensor, source: NoiseSource) -> "SamplerState":
        """Nothing is remembered yet beside x [C, h, w]."""
        latents = torch.zeros(STATE_ROWS, *x.shape, device=x.device)
        latents[0] = x
        return cls(latents, source)

    @property
    def x(self) -> torch.Tensor:
        """The latent, [C, h, w]."""
        return self.latents[0]

    def noise(self, model: LoadedModel) -> torch.Tensor:
        """Fresh noise [C, h, w] on the CPU; the same until `advance`."""
        if self.drawn is None:
            self.drawn = self.source.draw(model, tuple(self.x.shape))
        return self.drawn

    def advance(self, latents: torch.Tensor) -> None:
        """Take the state after a call."""
        self.latents = latents
        self.drawn = None

    def anchor(self, call: int, predicted_x0: torch.Tensor | None = None) -> Anchor:
        """The state before this call."""
        return Anchor(call, self.latents, self.source.state, self.drawn, predicted_x0)
