"""The UNet and its training: v-prediction on precomputed latents, with a new caption for every use.

A model this small follows its prompt only with zero terminal SNR and v-prediction: with the noise
schedule of SD the noisiest step still shows the mean colour, and the UNet reads it from there
instead of from the text.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch.nn.functional import mse_loss
from transformers import CLIPTextModel, CLIPTokenizer

from tools.scenes.captions import caption
from tools.training import checkpoints, loop, text
from tools.training.bank import Bank
from tools.training.loop import Course, trapezoid
from tools.training.muon import muon_adamw

STEPS = 3700
DECAY_STEPS = 1500
BATCH = 24  # in each process
NATIVE_SHARE = 0.7
PEAK_RATE = 1e-3
MATRIX_RATE = 2e-3
AVERAGE_DECAY = 0.996


def build() -> UNet2DConditionModel:
    """An untrained UNet: three levels, so latents from 12 to 24 divide by four."""
    return UNet2DConditionModel(
        sample_size=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 128, 128),
        layers_per_block=1,
        cross_attention_dim=text.WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def noise_schedule() -> DDIMScheduler:
    """The noise schedule the model is trained for, as the stock pipeline loads it."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Latents of one size with the embeddings of their captions."""

    latents: torch.Tensor
    words: torch.Tensor


class BatchSource:
    """Draws training batches: mostly native size, with a new caption each time."""

    def __init__(self, banks: list[Bank], encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> None:
        """Batches are drawn from these banks and encoded by this text encoder."""
        self.banks, self.encoder, self.tokenizer = banks, encoder, tokenizer

    @torch.no_grad()
    def draw(self, step: int) -> Batch:
        """The batch of this step; the same one on every call."""
        rng = random.Random(step)
        native = rng.random() < NATIVE_SHARE
        bank = self.banks[0] if native else rng.choice(self.banks[1:])
        # The same work for every size: fewer pictures where they are larger.
        pixels = bank.latents.shape[2] * bank.latents.shape[3]
        count = max(8, min(BATCH, 4 * round(BATCH * 256 / pixels / 4)))
        picked = rng.sample(range(len(bank.scenes)), count)
        captions = [caption(bank.scenes[index], rng) for index in picked]
        ids = text.tokenize(self.tokenizer, captions)
        words = self.encoder(ids).last_hidden_state
        return Batch(bank.latents[picked].float(), words)


@dataclass(frozen=True, slots=True)
class Noised:
    """Latents with noise at some timesteps, and the velocity that is to be predicted."""

    latents: torch.Tensor
    timesteps: torch.Tensor
    velocity: torch.Tensor


def add_noise(noising: DDIMScheduler, latents: torch.Tensor, power: float = 1.0) -> Noised:
    """Noise the latents at timesteps spread evenly over the batch; a power below 1: later ones."""
    count = len(latents)
    spread = (torch.arange(count) + torch.rand(count)) / count
    timesteps = (spread**power * noising.config.num_train_timesteps).long()
    noise = torch.randn_like(latents)
    noised = noising.add_noise(latents, noise, timesteps)
    return Noised(noised, timesteps, noising.get_velocity(latents, noise, timesteps))


def loss_of(unet: UNet2DConditionModel, noising: DDIMScheduler, batch: Batch) -> torch.Tensor:
    """Mean squared error of the velocity, computed in bfloat16."""
    noised = add_noise(noising, batch.latents)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = unet(noised.latents, noised.timesteps, encoder_hidden_states=batch.words).sample
    return mse_loss(predicted.float(), noised.velocity)


def train(batches: BatchSource, total: int = STEPS) -> None:
    """Train from the last checkpoint to the end, keeping an average of the weights."""
    torch.manual_seed(3)
    unet, noising = build().to(memory_format=torch.channels_last), noise_schedule()
    # Backward through torch's fused attention took a third of a step on the CPU.
    unet.set_attn_processor(AttnProcessor())
    course = Course("unet", total, trapezoid(200, DECAY_STEPS), AVERAGE_DECAY)
    optimisers = muon_adamw(unet, PEAK_RATE, MATRIX_RATE)
    loop.train(
        course, unet, optimisers, lambda number: loss_of(unet, noising, batches.draw(number))
    )


def trained() -> UNet2DConditionModel:
    """The averaged weights of the last checkpoint."""
    unet = build()
    unet.load_state_dict(checkpoints.require("unet")["average"])
    return unet.eval().requires_grad_(False)
