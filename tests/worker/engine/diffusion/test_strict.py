"""Strict mode: the same order gives the same bits, whatever else happens around it."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from latentry.contracts import Sampler
from latentry.contracts.fields.intermediates import name_of
from tests.modes import MODES
from tests.worker.engine import tiny, ways
from tests.worker.engine.conftest import sharing
from tests.worker.engine.reference import order_of
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Event, Failed, Intermediate, Order
from worker.engine.samplers import SAMPLERS

CALLS: dict[str, dict[str, Any]] = {
    "guided": {"guidance_scale": 5.0, "num_inference_steps": 4, "sampler": "ddim"},
    "unguided": {"guidance_scale": 1.0, "num_inference_steps": 3, "sampler": "euler"},
    "stochastic": {"guidance_scale": 3.0, "num_inference_steps": 3, "sampler": "dpmpp_2m_sde"},
    "ancestral": {"guidance_scale": 1.0, "num_inference_steps": 4, "sampler": "euler_a"},
    "two calls": {"guidance_scale": 3.0, "num_inference_steps": 3, "sampler": "heun"},
    "with memory": {"num_inference_steps": 4, "sampler": "unipc", "guidance_rescale": 0.7},
    "sparing": {"num_inference_steps": 4, "cache_interval": 2, "guidance_stop": 0.5},
    "composed": {
        "prompt": "[a cat|a dog] AND [fog:snow:0.5] :0.7", "negative_prompt": "[blur:rain:2]",
        "num_inference_steps": 3, "sampler": "dpm2", "guidance_stop": 0.7,
    },
    "seamless": {"num_inference_steps": 3, "seamless": "x", "cache_interval": 2},
    "shown": {"num_inference_steps": 4, "sampler": "heun", "intermediates": {"every": 2}},
    "varied": {"num_inference_steps": 3, "variation_seed": 8, "variation_strength": 0.3},
    "hires": {
        "num_inference_steps": 3, "sampler": "euler_a", "guidance_stop": 0.7,
        "hires": {"width": 96, "height": 64, "steps": 3, "strength": 0.7},
    },
    "hires by pixels": {
        "num_inference_steps": 2, "sampler": "dpmpp_2m", "intermediates": {"every": 2},
        "hires": {"width": 96, "height": 64, "steps": 3, "strength": 0.7, "upscaler": "lanczos"},
    },
    "wide": {"width": 96, "num_inference_steps": 3, "sampler": "dpmpp_sde"},
}  # fmt: skip
# Frames half-way between two pictures.
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "between": ({"seed": 7}, {"seed": 8, "prompt": "a blue star BREAK fog", "guidance_scale": 7.0}),
    "between by call": ({"prompt": "[a|b] AND c"}, {"prompt": "[d:e:0.5] AND f :2"}),
}
# And every mode, each with another sampler.
WATCHED = [*CALLS, *WAYS, *(f"mode {mode}" for mode in MODES)]
QUICK, SCHEDULES = len(WATCHED), 200
Outputs: TypeAlias = dict[tuple[str, str], bytes]  # by job and name


def watched(name: str) -> Order:
    if name in CALLS:
        return tiny.order(name, seed=7, determinism="strict", **CALLS[name])
    if name in WAYS:
        sampler = {"between": "euler_a", "between by call": "dpmpp_2m_sde"}[name]
        request = ways.way(3, *WAYS[name], sampler=sampler, determinism="strict")
        return replace(ways.orders(request)[1], job=name)
    return of_mode(name.removeprefix("mode "), name, seed=7, determinism="strict")


def of_mode(mode: str, job: str, **changes: Any) -> Order:
    sampler = list(Sampler)[list(MODES).index(mode) % len(Sampler)]
    steps = MODES[mode].fields.get("num_inference_steps", 4)
    fields = {"model": "epsilon", "sampler": sampler, "num_inference_steps": steps}
    return order_of(mode, job, **(fields | changes))


def neighbour(chance: random.Random, number: int, **fixed: Any) -> Order:
    if not fixed and chance.random() < 0.3:
        mode, how = chance.choice(list(MODES)), chance.choice(["fast", "strict"])
        return of_mode(mode, f"neighbour-{number}", seed=chance.randrange(100), determinism=how)
    fields = {
        "prompt": chance.choice(["a green star", "night", "", "[a|b]", "a AND b :2 AND c"]),
        "num_inference_steps": chance.randint(1, 3),
        "guidance_scale": chance.choice([1.0, 4.0]),
        "guidance_stop": chance.choice([0.5, 1.0]),
        "cache_interval": chance.choice([1, 1, 2, 3]),
        "sampler": chance.choice(list(SAMPLERS)),
        "seed": chance.randrange(100),
        "determinism": chance.choice(["fast", "strict"]),
        "width": chance.choice([64, 64, 64, 96]),
        "seamless": chance.choice(["none", "none", "x", "both"]),
        "intermediates": chance.choice([None, None, {"every": 1}]),
    }
    return tiny.order(f"neighbour-{number}", **(fields | fixed))


@dataclass(slots=True)
class Life:
    """Workers on their way through orders: crowds come and go, workers die, others go on."""

    backend: Diffusion
    chance: random.Random
    orders: list[Order]
    company: dict[str, Any] = field(default_factory=dict)
    neighbour: Callable[..., Order] = neighbour
    latents: dict[str, bytes] = field(default_factory=dict)
    pixels: dict[str, bytes] = field(default_factory=dict)
    checkpoints: dict[str, bytes] = field(default_factory=dict)
    on_the_way: Outputs = field(default_factory=dict)  # lost if their worker dies now
    outputs: Outputs = field(default_factory=dict)
    deaths: int = 0
    resumes: int = 0
    fillers: int = 0

    def live(self) -> None:
        """Until every watched order is drawn."""
        while self.orders:
            size = self.chance.randint(0, 3)
            crowd = [self.neighbour(self.chance, k, **self.company) for k in range(size)]
            for _ in self.one_worker(crowd):
                if self.chance.random() < 0.15:
                    self.deaths += 1
                    self.on_the_way = {}
                    break

    def one_worker(self, crowd: list[Order]) -> Iterator[None]:
        """Its step boundaries; at each it may be gone."""
        engine = Engine(self.spied())
        waiting = [*crowd, *(self.resumed(order) for order in self.orders)]
        self.chance.shuffle(waiting)
        while self.orders:
            for _ in range(self.chance.randint(0, 4)):
                if waiting:
                    engine.submit(waiting.pop())
            if self.chance.random() < 0.1:
                engine.drop(f"neighbour-{self.chance.randrange(5)}")
            self.take(engine.step())
            if self.chance.random() < 0.3:
                for order in self.orders:
                    self.checkpoints |= {one.job: one.checkpoint for one in engine.save(order.job)}
            yield

    def take(self, events: list[Event]) -> None:
        ours = {order.job for order in self.orders}
        failed = [e for e in events if isinstance(e, Failed) and e.job in ours]
        assert not failed, "it would be tried for ever"
        self.pixels |= {e.job: e.pixels.tobytes() for e in events if isinstance(e, Done)}
        shown = [e for e in events if isinstance(e, Intermediate) and e.job in WATCHED]
        self.on_the_way |= {(e.job, name_of(e.kind, e.step)): e.pixels.tobytes() for e in shown}
        has_ended = any(isinstance(event, Done) and event.job in WATCHED for event in events)
        if has_ended or self.chance.random() < 0.5:
            assert not self.outputs.keys() & self.on_the_way.keys(), "none comes twice"
            self.outputs |= self.on_the_way
            self.on_the_way = {}
        self.orders = [order for order in self.orders if order.job not in self.pixels]

    def resumed(self, order: Order) -> Order:
        self.resumes += order.job in self.checkpoints
        listed = frozenset(name for job, name in self.outputs if job == order.job)
        return replace(order, checkpoint=self.checkpoints.get(order.job), listed=listed)

    def spied(self) -> Diffusion:
        """Pixels are rounded and could hide a difference; no event tells who shared a call.

        Its clock leaves it to chance who is due, and so who shares a call.
        """
        backend = sharing(self.backend)
        advance, decode = backend.advance, backend.decode

        def count(members: Any, rows: int) -> None:
            if members[0].key.shallow and any(one.order.job in WATCHED for one in members):
                self.fillers += sum(not one.key.is_strict for one in members)
            advance(members, rows)

        def spy(members: Any) -> Any:
            self.latents |= {one.order.job: one.latent.numpy().tobytes() for one in members}
            return decode(members)

        backend.advance, backend.decode = count, spy  # type: ignore[method-assign]
        backend.now = self.chance.random  # type: ignore[method-assign]
        return backend


@pytest.fixture(scope="module")
def loaded(loaded: Diffusion, special_folders: dict[str, Path]) -> Diffusion:
    """And the models of modes that need their own."""
    made = sharing(loaded)
    for name, folder in special_folders.items():
        made.load(name, folder)
    return made


@pytest.fixture(scope="module")
def alone(loaded: Diffusion) -> dict[str, tuple[bytes, bytes]]:
    found = {}
    for name in WATCHED:
        life = Life(loaded, random.Random(0), [watched(name)])
        engine = Engine(life.spied())
        engine.submit(watched(name))
        while not engine.idle:
            for event in engine.step():
                if isinstance(event, Done):
                    found[name] = (life.latents[name], event.pixels.tobytes())
    return found


@pytest.fixture(scope="module")
def steps_alone(loaded: Diffusion) -> Outputs:
    """What the images that are shown store if nothing happens."""
    life = Life(loaded, random.Random(0), [])
    engine = Engine(sharing(loaded))
    for order in map(watched, WATCHED):
        if order.request.intermediates:
            engine.submit(order)
    while not engine.idle:
        life.take(engine.step())
    return life.outputs | life.on_the_way


@pytest.mark.parametrize(
    "seeds",
    [range(QUICK), pytest.param(range(QUICK, SCHEDULES), marks=pytest.mark.slow)],
    ids=["quick", "rest"],
)
def test_bits_do_not_depend_on_neighbours_slot_arrival_worker_or_a_resume(
    loaded: Diffusion,
    alone: dict[str, tuple[bytes, bytes]],
    steps_alone: Outputs,
    seeds: range,
) -> None:
    deaths = resumes = 0
    for seed in seeds:
        chance = random.Random(seed)
        name = WATCHED[seed % len(WATCHED)]  # each has its turn, beside any other
        names = [name, chance.choice([other for other in WATCHED if other != name])]
        life = Life(loaded, chance, [watched(name) for name in names])
        life.live()
        for name in names:
            assert (life.latents[name], life.pixels[name]) == alone[name], f"{name}, seed {seed}"
        stored = {key: steps_alone[key] for key in steps_alone if key[0] in names}
        assert life.outputs == stored, f"seed {seed}"
        deaths, resumes = deaths + life.deaths, resumes + life.resumes
    assert deaths > len(seeds) / 2, "workers died"
    assert resumes > len(seeds) / 2, "and others went on"


def test_fast_rows_that_fill_up_a_call_which_reuses_features_change_no_bit(
    loaded: Diffusion, alone: dict[str, tuple[bytes, bytes]]
) -> None:
    fillers, name = 0, "sparing"
    company = {"determinism": "fast", "cache_interval": 2, "width": 64, "num_inference_steps": 4}
    for seed in range(SCHEDULES // 5):
        life = Life(loaded, random.Random(seed), [watched(name)], company)
        life.live()
        assert (life.latents[name], life.pixels[name]) == alone[name], f"seed {seed}"
        fillers += life.fillers
    assert fillers, "there were such rows"
