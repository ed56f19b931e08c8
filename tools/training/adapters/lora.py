"""The training of a LoRA on the bundled model."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from torch.nn.functional import mse_loss
from transformers import CLIPTextModel, CLIPTokenizer

from tools.scenes.subjects import Subject
from tools.training import checkpoints, loop
from tools.training.adapters import low_rank
from tools.training.adapters.lessons import Captioned, Lessons
from tools.training.adapters.low_rank import Form
from tools.training.loop import Course, adamw, trapezoid
from tools.training.parts import hidden, load_part, load_tokenizer
from tools.training.unet import add_noise, noise_schedule

BATCH = 16
COUNT = 1_000  # pictures
AVERAGE_DECAY = 0.98
PEAK_RATE = 3e-3
TIMESTEP_POWER = 0.8


@dataclass(frozen=True, slots=True)
class Plan:
    """How one subject is taught."""

    form: Form
    steps: int


PLANS = {
    "outlined": Plan(Form(rank=4, alpha=4, conv_rank=4), 200),
    "house": Plan(Form(rank=8, alpha=8, conv_rank=4, text_rank=4), 600),
    "flame": Plan(Form(rank=8, alpha=4, text_rank=4), 700),
}


@dataclass(frozen=True, slots=True)
class Models:
    """The frozen parts that a subject is taught beside."""

    unet: UNet2DConditionModel
    encoder: CLIPTextModel
    tokenizer: CLIPTokenizer

    @classmethod
    def load(cls) -> Models:
        """The bundled ones."""
        unet = load_part(UNet2DConditionModel, "unet").to(memory_format=torch.channels_last)
        # Backward through torch's fused attention took a third of a step on the CPU.
        unet.set_attn_processor(AttnProcessor())
        return cls(unet, load_part(CLIPTextModel, "text_encoder"), load_tokenizer())

    @property
    def layers(self) -> dict[str, nn.Module]:
        """Those that a LoRA may change."""
        return low_rank.layers(self.unet, self.encoder)

    def loss(self, batch: Captioned, words: torch.Tensor) -> torch.Tensor:
        """Mean squared error of the velocity, computed in bfloat16."""
        noised = add_noise(noise_schedule(), batch.latents, TIMESTEP_POWER)
        with torch.autocast("cpu", torch.bfloat16):
            predicted = self.unet(
                noised.latents, noised.timesteps, encoder_hidden_states=words
            ).sample
        return mse_loss(predicted.float(), noised.velocity)


def train(subject: Subject, steps: int | None = None) -> None:
    """Train from the last checkpoint to the end, keeping an average of the weights."""
    torch.manual_seed(6)
    plan, models, lessons = PLANS[subject.name], Models.load(), Lessons(subject, COUNT)
    terms = low_rank.build(models.layers, plan.form)
    total = steps or plan.steps
    course = Course(f"lora-{subject.name}", total, trapezoid(30, total // 2), AVERAGE_DECAY, 25, 50)

    def loss_of(number: int) -> torch.Tensor:
        batch = lessons.draw(number, BATCH)
        return models.loss(batch, hidden(models.encoder, models.tokenizer, batch.captions))

    with low_rank.attached(terms, models.layers):
        loop.train(course, terms, adamw(terms, PEAK_RATE, weight_decay=0.0), loss_of)


def trained(subject: Subject) -> nn.ModuleDict:
    """The averaged weights of the last checkpoint."""
    terms = low_rank.build(Models.load().layers, PLANS[subject.name].form)
    terms.load_state_dict(checkpoints.require(f"lora-{subject.name}")["average"])
    return terms


def export(subject: Subject, path: Path) -> None:
    """Write it in kohya-ss's layout, with the metadata that its trainer writes."""
    step = checkpoints.require(f"lora-{subject.name}")["step"]
    low_rank.save(
        low_rank.tensors(trained(subject)), path, about(subject, PLANS[subject.name].form, step)
    )


def about(subject: Subject, form: Form, step: int) -> dict[str, object]:
    """What a LoRA's file says of itself, in kohya-ss's names and those of Stability's ModelSpec."""
    with_it = sum(has_it for _, has_it in Lessons(subject, COUNT).examples)
    network = "lycoris.kohya" if form.conv_rank else "networks.lora"
    return {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1/lora",
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models",
        "modelspec.title": subject.title,
        "modelspec.trigger_phrase": subject.trigger,
        "modelspec.resolution": "128x128",
        "modelspec.prediction_type": "v",
        "modelspec.date": time.strftime("%Y-%m-%d"),
        "modelspec.license": "Apache-2.0",
        "ss_network_module": network,
        "ss_network_dim": form.rank,
        "ss_network_alpha": form.alpha,
        "ss_output_name": subject.name,
        "ss_base_model_version": "sd_v1",
        "ss_sd_model_name": "shapes",
        "ss_resolution": "(128, 128)",
        "ss_steps": step,
        "ss_seed": 6,
        "ss_num_train_images": COUNT,
        "ss_tag_frequency": {subject.name: dict(Counter({subject.trigger: with_it}))},
    }
