"""Strict images that are watched while others with adapters come, go and die beside them."""

import random
from collections.abc import Iterable, Sequence
from typing import Protocol

import pytest

from tests.worker.engine import oracle
from tests.worker.engine.conftest import sharing
from tests.worker.engine.diffusion.test_strict import Life
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine, Order


class Watched(Protocol):
    """Strict images by name, those without an adapter first, and what is drawn beside them."""

    names: Sequence[str]

    def order(self, name: str) -> Order: ...

    def neighbour(self, chance: random.Random, number: int) -> Order: ...

    def anew(self) -> None:
        """Load all adapters into other memory, as after an eviction."""


def bits(loaded: Diffusion, order: Order) -> bytes:
    """Its final latents, in an engine of its own."""
    return oracle.alone(Engine(sharing(loaded)), order).numpy().tobytes()


def all_bits(loaded: Diffusion, watched: Watched) -> dict[str, bytes]:
    """Of each image alone. Nothing has seen an adapter when those without one are drawn."""
    return {name: bits(loaded, watched.order(name)) for name in watched.names}


def outlive(
    loaded: Diffusion, watched: Watched, alone: dict[str, bytes], seeds: Iterable[int]
) -> None:
    """Two images each time, by seeded schedules of neighbours and deaths: the bits they had alone.

    Raises AssertionError otherwise, and if no image was resumed.
    """
    resumes = 0
    for seed in seeds:
        chance = random.Random(seed)
        watched.anew()
        names = chance.sample(sorted(watched.names), 2)
        orders = [watched.order(name) for name in names]
        life = Life(loaded, chance, orders, neighbour=watched.neighbour)
        life.live()
        for name in names:
            assert life.latents[name] == alone[name], f"{name}, seed {seed}"
        resumes += life.resumes
    assert resumes, "workers died, and others went on"


def schedules(quick: int, all: int) -> pytest.MarkDecorator:
    """Parametrizes the seeds for `outlive`: some always, the rest in slow tests."""
    rest = pytest.param(range(quick, all), marks=pytest.mark.slow)
    return pytest.mark.parametrize("seeds", [range(quick), rest], ids=["quick", "rest"])


class AllAtOnce(random.Random):
    """Chance for `oracle.in_a_crowd` that submits all at once and cancels nothing."""

    def random(self) -> float:
        """Below a half while orders are submitted, and above a fiftieth."""
        return 0.4
