"""Four ways to serve one mixed trace on one device; and whether other rows change a row's bits."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, Protocol

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

from benchmarks.contenders.dynamic import next_group
from benchmarks.contenders.stock import SCHEDULERS, Stock
from benchmarks.gpu.architectures import SCHEDULER
from benchmarks.gpu.timing import Bench
from benchmarks.load import samples
from benchmarks.load.traces import Mix, Wish
from latentry.contracts import Determinism, Sampler
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Failed, Order, Pixels
from worker.engine.unet.package import BareUNet

CALLERS: Final = 32
CAPS: Final = (4, 8, 16)
BUCKETS: Final = (2, 8, 16)


class Server(Protocol):
    """A policy: takes wishes, and draws some of them in each turn."""

    def submit(self, number: int, wish: Wish) -> None:
        """Take a wish."""

    def turn(self) -> list[int]:
        """Make the next call. Returns the numbers of the wishes it finished."""


class Pipeline:
    """A stock pipeline: equal wishes in one call, up to the cap."""

    def __init__(self, stock: Stock, cap: int) -> None:
        self._stock, self._cap = stock, cap
        self._waiting: list[tuple[int, Wish]] = []

    def submit(self, number: int, wish: Wish) -> None:
        """See Server."""
        self._waiting.append((number, wish))

    def turn(self) -> list[int]:
        """See Server."""
        group = next_group(self._waiting, lambda one: one[1].likeness, self._cap)
        self._waiting = [one for one in self._waiting if one not in group]
        self._stock.draw([wish for _, wish in group])
        return [number for number, _ in group]


class Stepped:
    """The worker's engine, with this model resident."""

    def __init__(self, bench: Bench) -> None:
        self._model = bench.model.card.id
        dtype = str(bench.model.at.dtype).removeprefix("torch.")
        backend = Diffusion(device=str(bench.model.at.device), dtype=dtype)
        backend.at = bench.model.at
        backend.adopt(self._model, bench.model)
        self._engine = Engine(backend)
        while self._engine.calibrate():
            pass

    def submit(self, number: int, wish: Wish) -> None:
        """See Server."""
        self._engine.submit(Order(str(number), 0, wish.request(self._model), wish.seed))

    def turn(self) -> list[int]:
        """See Server."""
        return list(self.pictures())

    def pictures(self) -> dict[int, Pixels]:
        """Make one step. Returns the pictures that it finished."""
        drawn: dict[int, Pixels] = {}
        for event in self._engine.step():
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Done):
                drawn[int(event.job)] = event.pixels
        return drawn


def policies(bench: Bench, mix: Mix, *, compiled: bool) -> dict[str, Any]:
    """Images per second of each policy in a closed loop."""
    stock = Stock(_pipeline(bench))
    servers: dict[str, Server] = {"stock, one at a time": Pipeline(stock, 1)}
    for cap in CAPS:
        servers[f"dynamic batching, {cap}"] = Pipeline(stock, cap)
    servers["step-level"] = Stepped(bench)
    found = {name: _images_per_s(server, mix, bench.box_s) for name, server in servers.items()}
    if compiled:
        faster = _pipeline(bench)
        faster.unet = torch.compile(
            faster.unet, mode="max-autotune-no-cudagraphs" if bench.is_cuda else None
        )
        served = _images_per_s(Pipeline(Stock(faster), 1), mix, bench.box_s)
        found["compiled, one at a time"] = served
    return found


def _images_per_s(server: Server, mix: Mix, for_s: float) -> float:
    """The rate in a closed loop, from the first pictures on."""
    drawn: list[samples.Sample] = []
    wishes = mix.wishes()
    begin = time.monotonic()

    def ask(now: float) -> None:
        wish = next(wishes)
        server.submit(len(drawn), wish)
        drawn.append(samples.Sample(wish, now))

    for _ in range(CALLERS):
        ask(begin)
    now = begin
    while True:
        numbers = server.turn()
        now = time.monotonic()
        for number in numbers:
            drawn[number].ended_s = now
            ask(now)
        if now >= begin + for_s:
            rate = samples.rate(drawn, begin, now, callers=CALLERS).images
            if not math.isnan(rate):  # a slow server goes on until there is one
                return rate


def _pipeline(bench: Bench) -> Any:
    """The stock pipeline around the same networks."""
    networks = dict(bench.networks)
    tokenizers = {name: make() for name, make in bench.plan.tokenizers.items()}
    scheduler = SCHEDULERS[Sampler.DDIM].from_config(SCHEDULER)
    parts: dict[str, Any] = {**networks, **tokenizers, "scheduler": scheduler}
    if "text_encoder_2" in networks:
        pipeline = StableDiffusionXLPipeline(**parts, add_watermarker=False)
    else:
        pipeline = StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    return pipeline.to(bench.model.at.device)


@torch.inference_mode()
def determinism(bench: Bench) -> dict[str, Any]:
    """Whether slot or other rows change a row's bits, and how far the number of rows moves them.

    For single UNet calls, and for a strict picture drawn alone and among others.
    """
    call = BareUNet(bench.model.unet)
    mine = bench.inputs(1)
    alone = call(*mine).float()
    found: dict[str, Any] = {}
    for rows in BUCKETS:
        first, last = (
            call(*_with_neighbours(bench, mine, rows, slot))[slot] for slot in (0, rows - 1)
        )
        found[f"{rows} rows"] = {
            "same_bits_in_any_slot": bool(torch.equal(first, last)),
            "largest_difference_to_alone": float((first.float() - alone[0]).abs().max()),
        }
    found["largest_value"] = float(alone.abs().max())
    found["strict_picture_same_in_a_crowd"] = _strict_in_a_crowd(bench)
    return found


def _with_neighbours(bench: Bench, mine: tuple[Any, ...], rows: int, slot: int) -> tuple[Any, ...]:
    """A call of this row in its slot and random ones in the others."""
    x, t, hidden, added = bench.inputs(rows)
    x[slot], t[slot], hidden[slot] = mine[0][0], mine[1][0], mine[2][0]
    for name, value in mine[3].items():
        added[name][slot] = value[0]
    return x, t, hidden, added


def _strict_in_a_crowd(bench: Bench) -> bool:
    side = bench.model.card.defaults.width
    mix = Mix((6,), (5.0,), sides=(side,), determinism=Determinism.STRICT)
    wish, *others = mix.first(1 + CALLERS // 4)
    crowd = [replace(one, num_inference_steps=4 + one.seed % 5) for one in others]
    server = Stepped(bench)
    drawn = [_drawn(server, [wish]), _drawn(server, [*crowd, wish])]
    return bool((drawn[0] == drawn[1]).all())


def _drawn(server: Stepped, wishes: list[Wish]) -> Pixels:
    """The picture of the last of these wishes, which come a step apart."""
    coming: Iterator[tuple[int, Wish]] = iter(enumerate(wishes))
    pictures: dict[int, Pixels] = {}
    while len(pictures) < len(wishes):
        for number, wish in coming:
            server.submit(number, wish)
            break
        pictures |= server.pictures()
    return pictures[len(wishes) - 1]
