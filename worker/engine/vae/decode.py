"""Latents to pictures by the VAE, and the pictures' way from the device to the host."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from latentry.contracts import Seamless
from latentry.errors import JobFailed, NonFiniteOutput
from worker.engine.inputs.canvas import Pixels
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.seamless import padded, surrounded
from worker.engine.vae.latents import unscaled


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Pictures on their way: 8-bit levels [B, H, W, 3] and whether each is valid [B], on the host.

    On CUDA both are filled by copies that go on beside the step loop until `arrived`.
    """

    levels: torch.Tensor
    valid: torch.Tensor
    arrived: Any = None  # a torch.cuda.Event, whose methods are not typed

    @property
    def ready(self) -> bool:
        """Whether taking them would not wait."""
        return self.arrived is None or bool(self.arrived.query())

    def take(self) -> list[Pixels | JobFailed]:
        """RGB bytes [H, W, 3], or NonFiniteOutput, for each latent."""
        if self.arrived is not None:
            self.arrived.synchronize()
        pairs = zip(self.levels.numpy(), self.valid.tolist(), strict=True)
        return [picture if is_valid else NonFiniteOutput() for picture, is_valid in pairs]


@torch.inference_mode()
def decode(
    model: LoadedModel,
    latents: Sequence[torch.Tensor],
    *,
    vae: Any = None,
    max_side: int = 0,
    seamless: Seamless = Seamless.NONE,
) -> Decoded:
    """Latents [C, h, w] of one size, in one VAE call. Nothing is waited for here.

    vae: another one than the model's. max_side: scale down to so many pixels; 0 to keep the size.
    seamless: which opposite edges meet.

    A picture is valid if it is finite. In half precision one of one level throughout is not: an
    overflow that was clamped looks like that. In fp32 nothing overflows unseen, and a flat guess or
    a white page is what it is.
    """
    vae = vae or model.vae
    latent = torch.stack(list(latents))
    own = unscaled(latent, vae.config).to(vae.dtype, memory_format=model.at.memory_format)
    image = _image(vae, own, seamless).float()
    if 0 < max_side < (side := max(image.shape[2:])):
        height, width = (max(1, round(n * max_side / side)) for n in image.shape[2:])
        image = torch.nn.functional.adaptive_avg_pool2d(image, (height, width))
    valid = latent.isfinite().flatten(1).all(1) & image.isfinite().flatten(1).all(1)
    levels = ((image / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    if vae.dtype is not torch.float32:
        flat = levels.flatten(1)
        valid &= flat.amin(1) != flat.amax(1)
    levels = levels.permute(0, 2, 3, 1).contiguous()
    if model.at.device.type != "cuda":
        return Decoded(levels.cpu(), valid.cpu())
    arrived: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
    decoded = Decoded(_on_host(levels), _on_host(valid), arrived)
    arrived.record()
    return decoded


def _image(vae: Any, latents: torch.Tensor, seamless: Seamless) -> torch.Tensor:
    """The VAE's picture, [B, 3, H, W]."""
    if seamless is Seamless.NONE or not getattr(vae, "use_tiling", False):
        with padded(seamless):
            image: torch.Tensor = vae.decode(latents, return_dict=False)[0]
        return image
    around, rows, columns = surrounded(latents, seamless)
    image = vae.decode(around, return_dict=False)[0]
    scale = image.shape[2] // around.shape[2]
    (height, width), top, left = latents.shape[2:], rows * scale, columns * scale
    return image[:, :, top : top + height * scale, left : left + width * scale]


def _on_host(tensor: torch.Tensor) -> torch.Tensor:
    """Pinned memory that holds a copy once the stream has got there."""
    copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return copy.copy_(tensor, non_blocking=True)
