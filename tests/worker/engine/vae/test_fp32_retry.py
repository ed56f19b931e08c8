"""A VAE that overflows in half precision costs a second decode, not the picture."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from latentry.errors import NonFiniteOutput
from tests.worker.engine import tiny
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Order


class Overflowing(nn.Module):
    """Spoils what it decodes in half precision."""

    def __init__(self, vae: Any, spoil: float) -> None:
        super().__init__()
        self.vae = vae
        self.config = vae.config
        self.spoil = spoil

    @property
    def dtype(self) -> torch.dtype:
        return self.vae.dtype

    def decode(self, latent: torch.Tensor, **options: Any) -> Any:
        (image,) = self.vae.decode(latent, **options)
        return (image if self.dtype is torch.float32 else torch.full_like(image, self.spoil),)


def decoded(backend: Diffusion, order: Order) -> Any:
    trajectory, _ = backend.begin(order, backend.plan(order))
    while trajectory.calls_left:
        backend.advance([trajectory], trajectory.rows)
    [answer] = backend.decode([trajectory]).take()
    return answer


@pytest.fixture
def half(folders) -> Diffusion:
    backend = Diffusion(device="cpu", dtype="bfloat16")
    backend.load("epsilon", folders["epsilon"])
    return backend


def spoil(backend: Diffusion, level: float) -> None:
    model = backend.models["epsilon"]
    backend.adopt("epsilon", dataclasses.replace(model, vae=Overflowing(model.vae, level)))


@pytest.mark.parametrize("level", [float("nan"), float("inf"), -9.0])
def test_a_picture_that_overflowed_or_is_of_one_level_is_decoded_again_in_fp32(
    half: Diffusion, level: float
) -> None:
    valid = decoded(half, tiny.order(num_inference_steps=2))
    spoil(half, level)
    retried = decoded(half, tiny.order(num_inference_steps=2))
    assert abs(valid.astype(int) - retried.astype(int)).mean() < 3, "the same picture"


def test_in_fp32_there_is_nothing_to_try_again(folders) -> None:
    backend = Diffusion(device="cpu", dtype="float32")
    backend.load("epsilon", folders["epsilon"])
    model = backend.models["epsilon"]
    model.vae.decode = lambda latent, **_: (torch.zeros(1, 3, 64, 64),)
    assert isinstance(decoded(backend, tiny.order(num_inference_steps=1)), NonFiniteOutput)
