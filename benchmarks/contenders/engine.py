"""latentry's engine in a process of its own: the worker's step loop without the service."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import torch

from benchmarks.child import Command, Inbox, Reply
from benchmarks.contenders.stock import SHAPES, medians
from benchmarks.load.traces import Mix, Wish
from benchmarks.load.ways import pictures
from latentry.contracts import Lora
from latentry.settings import Settings
from worker.backends import open_backend  # so that it is what the service runs
from worker.batching import Costs
from worker.claims.preparation.adapter_files import AdapterFiles
from worker.engine.adapters.lora.rows import likeness, unet_uses
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop import Done, Engine, Event, Failed, Joined, Order, Step
from worker.engine.loop.backend import ServedBackend
from worker.engine.loop.router import BackendRouter
from worker.engine.low_rank.rows import adapted
from worker.engine.unet import call as unet
from worker.engine.unet.inputs import UNetInputs
from worker.process.keepalive import NoKeepalive

MODEL: Final = "shapes"

Batching = Callable[[Diffusion], ServedBackend[Any]]


@dataclass(slots=True)
class InFlight:
    """A request that is waiting or being drawn."""

    command: Command
    had_room: bool
    has_joined: bool = False
    wait_steps: float | None = None


@dataclass(slots=True)
class Counters:
    """What the loop did since the last `clear`; times in seconds."""

    calls: int = 0
    rows: int = 0
    useful_rows: int = 0
    call_s: float = 0.0
    step_s: float = 0.0


class Loop:
    """Submits orders to the engine and measures how long each waits for its first step.

    batching: what the engine sees instead of the backend, so that other rows share its calls.
    """

    def __init__(self, batching: Batching | None = None) -> None:
        chosen = {"LATENTRY_COMPILE": "off"} | os.environ | {"LATENTRY_MODELS": f"{MODEL}={SHAPES}"}
        settings = Settings.from_env(chosen)
        backend, _ = open_backend(settings, NoKeepalive())
        served = backend.backend_of(MODEL) if isinstance(backend, BackendRouter) else backend
        assert isinstance(served, Diffusion), "there is something to measure"
        self._backend = served
        self._files = AdapterFiles(settings.adapter_sources, served.adapters.inspect)
        self._files.open()
        costs = Costs(max_rows=settings.max_rows, max_slowdown=settings.max_slowdown)
        self._engine = Engine(batching(served) if batching else backend, costs)
        while self._engine.calibrate():  # a worker does so while it has nothing else to do
            pass
        self._in_flight: dict[str, InFlight] = {}
        self._counted = Counters()

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing."""
        return self._engine.idle

    def draw(self, command: Command) -> None:
        """Submit the order; the batching policy decides when it joins."""
        order = self._order(str(command.number), command.wish)
        plan = self._engine.backend.plan(order)
        is_waited_for = any(not one.has_joined for one in self._in_flight.values())
        free = self._engine.costs.cap(plan.key) - self._engine.rows
        self._in_flight[order.job] = InFlight(command, plan.rows <= free and not is_waited_for)
        self._engine.submit(order)

    def _order(self, job: str, wish: Wish) -> Order:
        """As the claiming thread of a worker makes it, but within the time that is measured."""
        request = wish.request(MODEL)
        brought = pictures(wish.seed) if wish.made.brings else {}
        order = Order(job, 0, request, wish.seed, canvas=Canvas.of(request, brought))
        if not wish.lora:
            return order
        sha256 = next(one.sha256 for one in self._files.entries if one.id == wish.lora)
        path = self._files.path(sha256)
        assert path is not None, "it was just found"
        lora = Lora(id=wish.lora, weight=1, text_encoder_weight=1, sha256=sha256)
        return replace(
            order,
            request=request.model_copy(update={"loras": (lora,)}),
            adapters=self._backend.adapters.load(MODEL, {sha256: path}),
        )

    def clear(self) -> dict[str, Any]:
        """Drop all requests. Returns the counters and resets them."""
        for job in self._in_flight:
            self._engine.drop(job)
        while not self._engine.idle:
            self._engine.step()
        self._in_flight.clear()
        counted, self._counted = self._counted, Counters()
        return asdict(counted)

    def step(self, reply: Reply) -> None:
        """One step of the loop; replies to the requests that are done."""
        events = self._engine.step()
        timing, counted = self._engine.last_step, self._counted
        called_s = time.monotonic() - timing.decode_s - timing.call_s
        counted.calls += timing.rows > 0
        counted.rows += timing.rows
        counted.useful_rows += timing.used
        counted.call_s += timing.call_s
        counted.step_s += timing.total_s
        for event in events:
            self._note(event, called_s, reply)

    def _note(self, event: Event, called_s: float, reply: Reply) -> None:
        request = self._in_flight[event.job]
        match event:
            case Joined():
                request.has_joined = True
            case Step() if request.wait_steps is None:
                waited_s = max(0.0, called_s - request.command.received_s)
                request.wait_steps = waited_s / self._engine.last_step.total_s
            case Done():
                del self._in_flight[event.job]
                fields = {"wait_steps": request.wait_steps, "had_room": request.had_room}
                reply(request.command, fields)
            case Failed(error=error):
                raise error

    def unet_s(
        self, rows: Sequence[int], side: int, rounds: int, loras: Sequence[str] = ("",)
    ) -> dict[int, float]:
        """Median seconds of a call of the engine's own UNet, for each count of rows.

        loras: of its images, in equal shares; images have two rows each.
        """
        model = self._backend.models[MODEL]
        shape = model.latent_shape(side, side)
        prompt = torch.randn(77, model.unet.config.cross_attention_dim)

        @torch.inference_mode()
        def call(count: int) -> None:
            x = torch.randn(count, *shape).to(model.at.dtype, memory_format=model.at.memory_format)
            hidden = prompt.expand(count, *prompt.shape).to(model.at.dtype)
            inputs = UNetInputs(x, torch.full((count,), 500.0), hidden, {})
            wishes = Mix(loras=loras).first(count // 2)
            orders = sorted([self._order("", wish) for wish in wishes], key=likeness)
            places = [range(2 * image, 2 * image + 2) for image in range(count // 2)]
            uses = unet_uses(orders, places, rows=count, apart=False)
            with adapted(model.unet_sites if uses else {}, uses, together=True):
                unet.call(model, inputs)

        return medians(call, rows, rounds)


def run(inbox: Inbox, reply: Reply, batching: Batching | None = None) -> None:
    """Carry out commands until the input ends."""
    loop = Loop(batching)
    while True:
        for command in inbox.take(wait=loop.idle):
            match command.verb:
                case "draw":
                    loop.draw(command)
                case "clear":
                    inbox.interrupted.clear()
                    reply(command, loop.clear())
                case "costs":
                    reply(command, {"unet_s": loop.unet_s(**command.arguments)})
        if not loop.idle:
            loop.step(reply)
