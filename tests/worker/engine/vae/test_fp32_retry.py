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


class Told(nn.Module):
    """Decodes as it is told, in the precision of another VAE."""

    def __init__(self, vae: Any, decode: Any) -> None:
        super().__init__()
        self.vae = vae
        self.config = vae.config
        self.told = decode

    @property
    def dtype(self) -> torch.dtype:
        return self.vae.dtype

    def decode(self, latent: torch.Tensor, **_: object) -> Any:
        return self.told(latent)


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


@pytest.fixture
def fp32(folders) -> Diffusion:
    backend = Diffusion(device="cpu", dtype="float32")
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


def test_in_fp32_there_is_nothing_to_try_again(fp32: Diffusion) -> None:
    model = fp32.models["epsilon"]
    calls = []

    def decode(latent: torch.Tensor, **_: object) -> Any:
        calls.append(latent)
        return (torch.full((1, 3, 64, 64), float("nan")),)

    fp32.adopt("epsilon", dataclasses.replace(model, vae=Told(model.vae, decode)))
    assert isinstance(decoded(fp32, tiny.order(num_inference_steps=1)), NonFiniteOutput)
    assert len(calls) == 1


@pytest.mark.parametrize("precision", ["half", "fp32"])
@pytest.mark.parametrize(("level", "shown"), [(1.0, 255), (-1.0, 0), (0.2, 153)])
def test_a_picture_of_one_colour_is_legitimate(
    request: pytest.FixtureRequest, precision: str, level: float, shown: int
) -> None:
    backend = request.getfixturevalue(precision)
    model = backend.models["epsilon"]

    def decode(latent: torch.Tensor, **_: object) -> Any:
        return (torch.full((1, 3, 64, 64), level),)

    backend.adopt("epsilon", dataclasses.replace(model, vae=Told(model.vae, decode)))
    picture = decoded(backend, tiny.order(num_inference_steps=1))
    assert (picture == shown).all()


@pytest.mark.parametrize("in_fp32", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("in_half", [float("nan"), -65504.0])
def test_what_overflows_in_fp32_too_is_never_a_black_picture(
    half: Diffusion, in_half: float, in_fp32: float
) -> None:
    model = half.models["epsilon"]

    def decode(latent: torch.Tensor) -> Any:
        level = in_fp32 if latent.dtype is torch.float32 else in_half
        return (torch.full((1, 3, 64, 64), level, dtype=latent.dtype),)

    half.adopt("epsilon", dataclasses.replace(model, vae=Told(model.vae, decode)))
    assert isinstance(decoded(half, tiny.order(num_inference_steps=1)), NonFiniteOutput)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (RuntimeError("shapes do not fit"), "engine_error"),
    ],
)
def test_if_the_second_decode_fails_so_does_the_picture_alone(
    half: Diffusion, error: Exception, code: str
) -> None:
    model = half.models["epsilon"]

    def decode(latent: torch.Tensor) -> Any:
        if latent.dtype is torch.float32:
            raise error
        return (torch.full((1, 3, 64, 64), float("nan"), dtype=latent.dtype),)

    half.adopt("epsilon", dataclasses.replace(model, vae=Told(model.vae, decode)))
    assert decoded(half, tiny.order(num_inference_steps=1)).code == code
