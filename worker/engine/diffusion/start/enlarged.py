"""What a second pass starts from: the image of the first one, enlarged, with noise."""

import numpy as np
import torch
from PIL import Image

from latentry.contracts import ResizeMode, Upscaler
from latentry.errors import JobFailed
from worker.engine.diffusion.passes import Pass
from worker.engine.diffusion.start.noise import NoiseSource
from worker.engine.inputs.resize import resized as resized_picture
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.vae.decode import decode
from worker.engine.vae.encode import encode, image_of
from worker.engine.vae.fp32_retry import Fp32Retry


def enlarged(
    latent: torch.Tensor, following: Pass, model: LoadedModel, source: NoiseSource
) -> torch.Tensor:
    """x [C, H, W] before the pass's first call, of the finished latent [C, h, w] of the last one.

    As hires fix of AUTOMATIC1111, with the noise of diffusers' StableDiffusionImg2ImgPipeline. Of
    the image's own noise the encoder's sample is drawn first, if there is one, then the noise;
    nothing before all else has succeeded. Raises NonFiniteOutput.
    """
    key, level = following.key, following.levels[0]
    shape = (latent.shape[0], key.height, key.width)
    if following.upscaler is Upscaler.LANCZOS:
        posterior = encode(model, _picture(latent, following, model), key.seamless)
        begun = posterior.sample(source.draw(model, shape), model.vae.config)
    else:
        begun = resized(latent, key.height, key.width)
    noise = source.draw(model, shape).to(begun.device)
    return level.signal * begun + level.noise * noise


def resized(latent: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """A latent [C, h, w] in so many cells, bilinearly: AUTOMATIC1111's upscaler "Latent".

    One of other proportions is cropped in the middle after that, as there.
    """
    if latent.shape[1:] == (height, width):
        return latent
    own_height, own_width = latent.shape[1:]
    scale = max(height / own_height, width / own_width)
    inner = (max(height, round(own_height * scale)), max(width, round(own_width * scale)))
    found = torch.nn.functional.interpolate(latent[None], inner, mode="bilinear", antialias=False)
    top, left = (inner[0] - height) // 2, (inner[1] - width) // 2
    return found[0, :, top : top + height, left : left + width]


def _picture(latent: torch.Tensor, following: Pass, model: LoadedModel) -> torch.Tensor:
    """[3, H, W] from -1 to 1: decoded, and enlarged by Lanczos, cropped if need be."""
    key = following.key
    decoded = decode(model, [latent], seamless=key.seamless)
    [pixels] = Fp32Retry(model, [latent], decoded, key.seamless).take()
    if isinstance(pixels, JobFailed):
        raise pixels
    width, height = key.width * model.vae_factor, key.height * model.vae_factor
    picture = resized_picture(Image.fromarray(pixels), width, height, ResizeMode.CROP)
    return image_of(np.asarray(picture))
