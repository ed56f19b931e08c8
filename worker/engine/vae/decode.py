"""Latents through the VAE, and the pictures' way from the device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from latentry.errors import JobFailed, NonFiniteOutput
from worker.engine.loop.messages import Pixels
from worker.engine.models.loaded_model import LoadedModel


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Pictures on their way: levels [B, H, W, 3] and whether each is sound [B], on the host.

    On CUDA both are filled by copies that go on beside the step loop until `arrived`.
    """

    levels: torch.Tensor
    sound: torch.Tensor
    arrived: Any = None  # a torch.cuda.Event, whose methods are not typed

    @property
    def ready(self) -> bool:
        """Whether taking them would not wait."""
        return self.arrived is None or bool(self.arrived.query())

    def take(self) -> list[Pixels | JobFailed]:
        """RGB bytes [H, W, 3], or NonFiniteOutput, for each latent."""
        if self.arrived is not None:
            self.arrived.synchronize()
        pairs = zip(self.levels.numpy(), self.sound.tolist(), strict=True)
        return [picture if sound else NonFiniteOutput() for picture, sound in pairs]


@torch.inference_mode()
def decode(
    model: LoadedModel, latents: Sequence[torch.Tensor], *, vae: Any = None, max_side: int = 0
) -> Decoded:
    """Latents [C, h, w] of one size, in one VAE call. Nothing is waited for here.

    With another `vae` than the model's, and scaled down to `max_side` pixels, if told so.

    Each picture tells for itself whether it is sound: finite, and not of one level throughout, as
    overflowed ones are. A black one is never told as a success.
    """
    vae = vae or model.vae
    latent = torch.stack(list(latents))
    scaled = (latent / vae.config.scaling_factor).to(
        vae.dtype, memory_format=model.at.memory_format
    )
    image = vae.decode(scaled, return_dict=False)[0].float()
    if 0 < max_side < (side := max(image.shape[2:])):
        height, width = (max(1, round(n * max_side / side)) for n in image.shape[2:])
        image = torch.nn.functional.adaptive_avg_pool2d(image, (height, width))
    sound = latent.isfinite().flatten(1).all(1) & image.isfinite().flatten(1).all(1)
    levels = ((image / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    flat = levels.flatten(1)
    sound &= flat.amin(1) != flat.amax(1)
    levels = levels.permute(0, 2, 3, 1).contiguous()
    if model.at.device.type != "cuda":
        return Decoded(levels, sound)
    arrived: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
    here = Decoded(_pinned(levels), _pinned(sound), arrived)
    arrived.record()
    return here


def _pinned(there: torch.Tensor) -> torch.Tensor:
    """Where the copy on the host will be once the stream has got there."""
    here = torch.empty(there.shape, dtype=there.dtype, pin_memory=True)
    return here.copy_(there, non_blocking=True)
