"""The loop of all trainings: resumable, with fixed seeds and an average of the weights."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from tools.training import checkpoints

Share: TypeAlias = Callable[[int, int], float]


def trapezoid(warm_up: int, decay: int) -> Share:
    """Shares of the peak rate: warm up, hold, and fall to zero over the last steps."""
    return lambda step, total: min(1.0, (step + 1) / warm_up, max(total - step, 1) / decay)


def cosine(step: int, total: int, *, warm_up: int = 100, floor: float = 0.02) -> float:
    """Share of the peak learning rate: a short warm-up, then half a cosine."""
    decay = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * step / total))
    return min(1, (step + 1) / warm_up) * decay


@dataclass(frozen=True, slots=True)
class Course:
    """How long a training is and how it is recorded, under `name`.

    share: of the peak rates. average: the most that the average keeps of itself in a step; 0 is
    no average.
    """

    name: str
    steps: int
    share: Share
    average: float = 0.0
    say_every: int = 50
    save_every: int = 100


class Optimisers:
    """Several optimisers over one model, as one; the rates that they have now are the peaks."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts
        self.peaks = [[group["lr"] for group in part.param_groups] for part in parts]

    def set_share(self, share: float) -> None:
        """Use this share of the peak learning rates."""
        for part, peaks in zip(self.parts, self.peaks, strict=True):
            for group, peak in zip(part.param_groups, peaks, strict=True):
                group["lr"] = peak * share

    def step(self) -> None:
        """Update every weight once and clear the gradients."""
        for part in self.parts:
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """The states of all."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: Sequence[dict[str, Any]]) -> None:
        """Restore the states of all."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def adamw(model: torch.nn.Module, rate: float, *, weight_decay: float = 0.01) -> Optimisers:
    """AdamW over all weights that learn."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return Optimisers(
        torch.optim.AdamW(weights, rate, betas=(0.9, 0.99), weight_decay=weight_decay)
    )


def train(
    course: Course,
    model: torch.nn.Module,
    optimisers: Optimisers,
    loss_of: Callable[[int], torch.Tensor],
) -> None:
    """Train `model` from its last checkpoint to the end of the course.

    loss_of: the loss of the batch with this number, which is also the random numbers' seed. If
    there are several processes, each has its own batches, and their gradients are averaged.
    """
    rank, world = place()
    average = copy.deepcopy(model).requires_grad_(False)
    step, began, smooth = 0, time.monotonic(), 0.0
    if state := checkpoints.load(course.name):
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimisers.load_state_dict(state["optimisers"])
        step, smooth = state["step"], state["loss"]
    while step < course.steps:
        optimisers.set_share(course.share(step, course.steps))
        torch.manual_seed(step * world + rank)
        loss = loss_of(step * world + rank)
        torch.autograd.backward(loss)
        share_gradients(model, world)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimisers.step()
        step += 1
        if rank > 0:
            continue
        _follow(average, model, step, course.average)
        smooth += max(0.02, 1 / step) * (loss.item() - smooth)
        if step % course.say_every == 0:
            seconds = round(time.monotonic() - began)
            shown = {"step": step, "of": course.steps, "loss": round(smooth, 5)}
            checkpoints.log(course.name, **shown, seconds=seconds)
        if step % course.save_every == 0 or step == course.steps:
            state = {"model": model.state_dict(), "average": average.state_dict()}
            state |= {"optimisers": optimisers.state_dict(), "step": step, "loss": smooth}
            checkpoints.save(course.name, state)


def place() -> tuple[int, int]:
    """This process's number and how many there are."""
    if not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


@torch.no_grad()
def _follow(average: torch.nn.Module, model: torch.nn.Module, step: int, most: float) -> None:
    """Move an average of the weights on; `most`: how much of it is kept, once there are steps."""
    decay = min(most, (step + 1) / (step + 10))
    pairs = zip(average.parameters(), model.parameters(), strict=True)
    for slow, fast in pairs:
        slow.lerp_(fast, 1 - decay)


def share_gradients(model: torch.nn.Module, world: int) -> None:
    """Give every process the mean of all their gradients."""
    if world == 1:
        return
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= world
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
