"""Strict mode: the same order gives the same pixels, whatever else is in the batch."""

import random
from typing import Any

import numpy as np
import pytest

from tests.engine import tiny
from tests.engine.conftest import sharing
from worker.engine import Done, Engine, Order
from worker.engine.diffusion import Diffusion
from worker.engine.samplers import SAMPLERS

WATCHED = {
    "guided": {"guidance_scale": 5.0, "num_inference_steps": 4, "sampler": "ddim"},
    "unguided": {"guidance_scale": 1.0, "num_inference_steps": 3, "sampler": "euler"},
    "stochastic": {"guidance_scale": 3.0, "num_inference_steps": 3, "sampler": "dpmpp_2m_sde"},
}


def watched(name: str) -> Order:
    return tiny.order(name, seed=7, determinism="strict", **WATCHED[name])


def pictures(engine: Engine) -> dict[str, np.ndarray]:
    done = {}
    while not engine.idle:
        done |= {e.job: e.pixels for e in engine.step() if isinstance(e, Done)}
    return done


@pytest.fixture(scope="module")
def alone(loaded: Diffusion) -> dict[str, np.ndarray]:
    engine, found = Engine(sharing(loaded)), {}
    for name in WATCHED:
        engine.submit(watched(name))
        found |= pictures(engine)
    return found


def neighbour(chance: random.Random, number: int) -> Order:
    return tiny.order(
        f"neighbour-{number}",
        prompt=chance.choice(["a green star", "night", ""]),
        num_inference_steps=chance.randint(1, 6),
        guidance_scale=chance.choice([1.0, 4.0]),
        sampler=chance.choice(list(SAMPLERS)),
        seed=chance.randrange(100),
        determinism=chance.choice(["fast", "strict"]),
        width=chance.choice([64, 64, 64, 96]),
    )


@pytest.mark.parametrize("seed", range(50))
def test_pixels_do_not_depend_on_neighbours_slot_or_arrival(
    engine: Engine, alone: dict[str, np.ndarray], seed: int
) -> None:
    chance = random.Random(seed)
    orders = [neighbour(chance, number) for number in range(chance.randint(1, 9))]
    orders += [watched(name) for name in WATCHED]
    chance.shuffle(orders)
    done: dict[str, np.ndarray] = {}
    while orders or not engine.idle:
        for _ in range(chance.randint(0, 4)):
            if orders:
                engine.submit(orders.pop())
        if chance.random() < 0.1:
            engine.drop(f"neighbour-{chance.randrange(9)}")
        done |= {e.job: e.pixels for e in engine.step() if isinstance(e, Done)}
    for name, pixels in alone.items():
        assert np.array_equal(done[name], pixels)


def test_latents_are_equal_to_the_last_bit_not_only_pixels(
    backend: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels are rounded and could hide a difference."""
    engine, decode, found = Engine(backend), backend.decode, {}

    def spy(members: list) -> Any:
        found.update({one.order.job: one.latent.numpy() for one in members})
        return decode(members)

    monkeypatch.setattr(backend, "decode", spy)

    def latent(*neighbours: Order) -> np.ndarray:
        for order in neighbours:
            engine.submit(order)
        engine.submit(watched("guided"))
        pictures(engine)
        return found.pop("guided")

    chance = random.Random(1)
    alone = latent()
    for _ in range(12):
        crowd = [neighbour(chance, number) for number in range(chance.randint(0, 6))]
        assert np.array_equal(latent(*crowd), alone)
