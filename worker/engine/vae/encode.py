"""A picture to the latent that an image starts from, by the VAE's encoder."""

import copy
from dataclasses import dataclass
from typing import Any

import torch

from latentry.errors import NonFiniteOutput
from worker.engine.inputs.canvas import Pixels
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.vae.latents import scaled


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What the encoder says of a picture: mean and standard deviation [C, h, w], in fp32."""

    mean: torch.Tensor
    std: torch.Tensor

    def sample(self, noise: torch.Tensor, config: Any) -> torch.Tensor:
        """The latent [C, h, w] as the UNet knows it, for unit noise of this shape."""
        own = self.mean + self.std * noise.to(self.mean.device)
        return scaled(own[None], config)[0]


def image_of(picture: Pixels) -> torch.Tensor:
    """RGB bytes [H, W, 3] as [3, H, W] from -1 to 1."""
    return 2 * (torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255) - 1


@torch.inference_mode()
def encode(model: LoadedModel, image: torch.Tensor) -> Posterior:
    """An image [3, H, W] from -1 to 1; one a call, so that neighbours change no bit of it.

    In half precision one that overflows is encoded again in fp32. Raises NonFiniteOutput.
    """
    parameters = _parameters(model, model.vae, image)
    if model.vae.dtype is not torch.float32 and not bool(parameters.isfinite().all()):
        in_fp32 = copy.deepcopy(model.vae).to(torch.float32)
        parameters = _parameters(model, in_fp32, image)
    if not bool(parameters.isfinite().all()):
        raise NonFiniteOutput
    mean, log_variance = parameters.chunk(2)
    return Posterior(mean, torch.exp(0.5 * log_variance.clamp(-30, 20)))


def _parameters(model: LoadedModel, vae: Any, image: torch.Tensor) -> torch.Tensor:
    image = image[None].to(model.at.device, vae.dtype, memory_format=model.at.memory_format)
    found: torch.Tensor = vae.encode(image).latent_dist.parameters[0].float()
    return found
