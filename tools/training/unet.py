"""The UNet and its training: v-prediction on precomputed latents, with a new caption for every use.

A model this small follows its prompt only with zero terminal SNR and v-prediction: with the noise
schedule of SD the noisiest step still shows the mean colour, and the UNet reads it from there
instead of from the text.
"""

from __future__ import annotations

import copy
import random
import time
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch.nn.functional import mse_loss
from transformers import CLIPTextModel, CLIPTokenizer

from tools.scenes.captions import caption
from tools.training import checkpoints, text
from tools.training.bank import Bank
from tools.training.muon import MuonAdamW

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


def loss_of(unet: UNet2DConditionModel, noising: DDIMScheduler, batch: Batch) -> torch.Tensor:
    """Mean squared error of the velocity, at timesteps spread evenly over the batch."""
    count = len(batch.latents)
    spread = (torch.arange(count) + torch.rand(count)) / count
    timesteps = (spread * noising.config.num_train_timesteps).long()
    noise = torch.randn_like(batch.latents)
    noised = noising.add_noise(batch.latents, noise, timesteps)
    velocity = noising.get_velocity(batch.latents, noise, timesteps)
    predicted = unet(noised, timesteps, encoder_hidden_states=batch.words).sample
    return mse_loss(predicted.float(), velocity)


def share_at(step: int, total: int) -> float:
    """Share of the peak learning rates: warm up, hold, and fall to zero over the last steps."""
    return min(1.0, (step + 1) / 200, max(total - step, 1) / DECAY_STEPS)


@torch.no_grad()
def follow(average: torch.nn.Module, model: torch.nn.Module, step: int, most: float) -> None:
    """Move an average of the weights on; `most`: how much of it is kept, once there are steps."""
    decay = min(most, (step + 1) / (step + 10))
    pairs = zip(average.parameters(), model.parameters(), strict=True)
    for slow, fast in pairs:
        slow.lerp_(fast, 1 - decay)


def train(batches: BatchSource, total: int = STEPS) -> None:
    """Train from the last checkpoint to the end, keeping an average of the weights.

    Every process of the group draws its own batches; their gradients are averaged.
    """
    torch.manual_seed(3)
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    unet, noising = build().to(memory_format=torch.channels_last), noise_schedule()
    # Backward through torch's fused attention took a third of a step on the CPU.
    unet.set_attn_processor(AttnProcessor())
    average = copy.deepcopy(unet).requires_grad_(False)
    optimiser = MuonAdamW(unet, PEAK_RATE, MATRIX_RATE)
    step, began, smooth = 0, time.monotonic(), 1.0
    if state := checkpoints.load("unet"):
        unet.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, smooth = state["step"], state["loss"]
    while step < total:
        optimiser.set_share(share_at(step, total))
        torch.manual_seed(step * world + rank)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(unet, noising, batches.draw(step * world + rank))
        torch.autograd.backward(loss)
        share_gradients(unet, world)
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimiser.step()
        step += 1
        if rank > 0:
            continue
        follow(average, unet, step, AVERAGE_DECAY)
        smooth += 0.02 * (loss.item() - smooth)
        if step % 50 == 0:
            seconds = round(time.monotonic() - began)
            checkpoints.log("unet", step=step, loss=round(smooth, 5), seconds=seconds)
        if step % 100 == 0 or step == total:
            state = {"model": unet.state_dict(), "average": average.state_dict()}
            state |= {"optimiser": optimiser.state_dict(), "step": step, "loss": smooth}
            checkpoints.save("unet", state)


def share_gradients(model: torch.nn.Module, world: int) -> None:
    """Give every process the mean of all their gradients."""
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= world
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def trained() -> UNet2DConditionModel:
    """The averaged weights of the last checkpoint."""
    unet = build()
    unet.load_state_dict(checkpoints.require("unet")["average"])
    return unet.eval().requires_grad_(False)


def _save(
    unet: UNet2DConditionModel,
    average: UNet2DConditionModel,
    optimiser: torch.optim.Optimizer,
    step: int,
) -> None:
    checkpoints.save(
        "unet",
        {
            "model": unet.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
        },
    )
