"""Where an image's noise comes from: one seed, or two between which it is."""

from dataclasses import dataclass
from typing import Final

import torch

from worker.engine.models.loaded_model import LoadedModel

_PARALLEL: Final = 0.9995


@dataclass(frozen=True, slots=True, eq=False)
class NoiseSource:
    """An image's own generator on the CPU; of a frame the generators of both its keyframes.

    weight: how near its noise is to the second one's.
    """

    generators: tuple[torch.Generator, ...]
    weight: float = 0.0

    @classmethod
    def of_seed(cls, seed: int) -> "NoiseSource":
        """At its beginning."""
        return cls((torch.Generator().manual_seed(seed),))

    def towards(self, other: "NoiseSource", weight: float) -> "NoiseSource":
        """Both, which are drawn from side by side from now on."""
        return NoiseSource((*self.generators, *other.generators), weight)

    def draw(self, model: LoadedModel, shape: tuple[int, ...]) -> torch.Tensor:
        """The next unit noise in fp32 on the CPU."""
        drawn = [model.noise(shape, generator) for generator in self.generators]
        return drawn[0] if len(drawn) == 1 else slerp(drawn[0], drawn[1], self.weight)

    @property
    def state(self) -> torch.Tensor:
        """Of all generators, one after another: torch's bytes."""
        return torch.cat([generator.get_state() for generator in self.generators])

    def restore(self, state: torch.Tensor) -> None:
        """Go on from such a state. Raises ValueError or RuntimeError for any other bytes."""
        parts = state.chunk(len(self.generators))
        for generator, part in zip(self.generators, parts, strict=True):
            generator.set_state(part.clone())


def slerp(low: torch.Tensor, high: torch.Tensor, weight: float) -> torch.Tensor:
    """Spherical interpolation (Shoemake 1985) of two whole tensors as vectors, in fp32.

    So noise between two noises is as long as they are, as no straight line between them is; vectors
    of other lengths pass through the lengths between. Nearly parallel ones are interpolated
    linearly; equal ones stay as they are. In fp64 on the CPU, as `varied`, whose parts are columns.
    """
    a, b = low.cpu().double(), high.cpu().double()
    cosine = torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0).clamp(-1, 1)
    if cosine > _PARALLEL:
        mixed = torch.lerp(a, b, weight)
    else:
        angle = torch.acos(cosine)
        sine = torch.sin(angle)
        mixed = torch.sin((1 - weight) * angle) / sine * a + torch.sin(weight * angle) / sine * b
    return mixed.float().to(low.device)
