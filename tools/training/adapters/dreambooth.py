"""DreamBooth: a few pictures of a subject change the UNet itself, ordinary ones keep the rest.

Ruiz et al., "DreamBooth: fine tuning text-to-image diffusion models for subject-driven generation",
2023. The result is a model of its own, or the difference to the bundled one as a LoRA.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel

from tools.scenes.subjects import Subject
from tools.training import checkpoints, loop
from tools.training.adapters import low_rank
from tools.training.adapters.lessons import Lessons
from tools.training.adapters.lora import Models, about
from tools.training.adapters.low_rank import Form, LowRank
from tools.training.export import export as export_model
from tools.training.loop import Course, adamw, trapezoid
from tools.training.parts import hidden, load_part

STEPS = 300
BATCH = 12
COUNT = 40  # pictures, of which some are ordinary
AVERAGE_DECAY = 0.95
PEAK_RATE = 3e-4
FORM = Form(rank=32, alpha=32, conv_rank=32)  # of the difference


def train(subject: Subject, steps: int | None = None) -> None:
    """Train from the last checkpoint to the end, keeping an average of the weights."""
    torch.manual_seed(8)
    models, lessons, total = Models.load(), Lessons(subject, COUNT), steps or STEPS
    unet = models.unet
    for layer in low_rank.layers(unet).values():  # no norms or biases, so that a LoRA can follow
        layer.get_parameter("weight").requires_grad_(True)
    course = Course(name_of(subject), total, trapezoid(20, total // 2), AVERAGE_DECAY, 25, 50)

    def loss_of(number: int) -> torch.Tensor:
        batch = lessons.draw(number, BATCH)
        with torch.no_grad():
            words = hidden(models.encoder, models.tokenizer, batch.captions)
        return models.loss(batch, words)

    loop.train(course, unet, adamw(unet, PEAK_RATE), loss_of)


def name_of(subject: Subject) -> str:
    """Of its checkpoint."""
    return f"dreambooth-{subject.name}"


def trained(subject: Subject) -> UNet2DConditionModel:
    """The averaged weights of the last checkpoint."""
    unet = load_part(UNet2DConditionModel, "unet")
    unet.load_state_dict(checkpoints.require(name_of(subject))["average"])
    return unet


def export_folder(subject: Subject, folder: Path) -> None:
    """Write the whole model in diffusers' layout."""
    export_model(
        vae=load_part(AutoencoderKL, "vae"),
        encoder=load_part(CLIPTextModel, "text_encoder"),
        unet=trained(subject),
        folder=folder,
        name=subject.name,
    )


def export_lora(subject: Subject, path: Path) -> None:
    """Write the difference to the bundled model, as near as its rank allows, as a LoRA."""
    before, after = load_part(UNet2DConditionModel, "unet"), trained(subject)
    step = checkpoints.require(name_of(subject))["step"]
    low_rank.save(low_rank.tensors(difference(before, after)), path, about(subject, FORM, step))


@torch.no_grad()
def difference(before: nn.Module, after: nn.Module, form: Form = FORM) -> nn.ModuleDict:
    """Terms that make `after` of `before`: the largest singular values of each difference."""
    old, new = low_rank.layers(before), low_rank.layers(after)
    terms = low_rank.build(old, form)
    for name, term in terms.items():
        assert isinstance(term, LowRank)
        change = new[name].get_parameter("weight") - old[name].get_parameter("weight")
        left, values, right = torch.linalg.svd(change.flatten(1), full_matrices=False)
        rank = len(term.down.weight)
        root = (values[:rank] / term.scale).sqrt()
        term.up.weight.copy_((left[:, :rank] * root).view_as(term.up.weight))
        term.down.weight.copy_((root[:, None] * right[:rank]).view_as(term.down.weight))
    return terms
