"""latentry's engine in a process of its own: the worker's step loop without a service around it."""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch

from benchmarks.child import Asked, Inbox, Tell
from benchmarks.stock import SHAPES, medians
from latentry.settings import Settings
from worker.backends import open_backend  # so that it is what the service runs
from worker.batching import Costs
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Event, Failed, Joined, Order, Step
from worker.engine.unet import call as unet
from worker.engine.unet.inputs import UNetInputs
from worker.process.keepalive import NoKeepalive

MODEL: Final = "shapes"


@dataclass(slots=True)
class Flying:
    """A request under way."""

    asked: Asked
    had_room: bool
    has_joined: bool = False
    wait_steps: float | None = None


@dataclass(slots=True)
class Counted:
    """What the loop did since it was last asked."""

    calls: int = 0
    rows: int = 0
    useful_rows: int = 0
    call_s: float = 0.0
    step_s: float = 0.0


class Loop:
    """Feeds the engine and notes when each request made its first step."""

    def __init__(self) -> None:
        chosen = {"LATENTRY_COMPILE": "off"} | os.environ | {"LATENTRY_MODELS": f"{MODEL}={SHAPES}"}
        settings = Settings.from_env(chosen)
        backend, _ = open_backend(settings, NoKeepalive())
        assert isinstance(backend, Diffusion), "there is something to measure"
        self._backend = backend
        costs = Costs(max_rows=settings.max_rows, max_slowdown=settings.max_slowdown)
        self._engine = Engine(self._backend, costs)
        while self._engine.calibrate():  # a worker does so while it has nothing else to do
            pass
        self._flying: dict[str, Flying] = {}
        self._counted = Counted()

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing."""
        return self._engine.idle

    def draw(self, asked: Asked) -> None:
        """Order the picture; it joins when the policy says so."""
        job, wish = str(asked.number), asked.wish
        order = Order(job, 0, wish.request(MODEL), wish.seed)
        plan = self._backend.plan(order)
        is_waited_for = any(not flying.has_joined for flying in self._flying.values())
        free = self._engine.costs.cap(plan.key) - self._engine.rows
        self._flying[job] = Flying(asked, plan.rows <= free and not is_waited_for)
        self._engine.submit(order)

    def clear(self) -> dict[str, Any]:
        """Drop everything; what was counted."""
        for job in self._flying:
            self._engine.drop(job)
        while not self._engine.idle:
            self._engine.step()
        self._flying.clear()
        counted, self._counted = self._counted, Counted()
        return asdict(counted)

    def step(self, tell: Tell) -> None:
        """One step of everybody's loop; tell who is done."""
        events = self._engine.step()
        pace, counted = self._engine.pace, self._counted
        called_s = time.monotonic() - pace.decode_s - pace.call_s
        counted.calls += pace.rows > 0
        counted.rows += pace.rows
        counted.useful_rows += pace.used
        counted.call_s += pace.call_s
        counted.step_s += pace.total_s
        for event in events:
            self._note(event, called_s, tell)

    def _note(self, event: Event, called_s: float, tell: Tell) -> None:
        flying = self._flying[event.job]
        match event:
            case Joined():
                flying.has_joined = True
            case Step() if flying.wait_steps is None:
                waited_s = max(0.0, called_s - flying.asked.at_s)
                flying.wait_steps = waited_s / self._engine.pace.total_s
            case Done():
                told = {"wait_steps": flying.wait_steps, "had_room": flying.had_room}
                tell(self._flying.pop(event.job).asked, told)
            case Failed(error=error):
                raise error

    def unet_s(self, rows: Sequence[int], side: int, rounds: int) -> dict[int, float]:
        """Median seconds of a call of the engine's own UNet, for each count of rows."""
        model = self._backend.models[MODEL]
        shape = model.latent_shape(side, side)
        prompt = torch.randn(77, model.unet.config.cross_attention_dim)

        @torch.inference_mode()
        def call(count: int) -> None:
            x = torch.randn(count, *shape).to(memory_format=model.at.memory_format)
            hidden = prompt.expand(count, *prompt.shape)
            inputs = UNetInputs(x, torch.full((count,), 500.0), hidden, {})
            unet.call(model, inputs)

        return medians(call, rows, rounds)


def run(inbox: Inbox, tell: Tell) -> None:
    """Serve what the inbox asks for."""
    loop = Loop()
    while True:
        for asked in inbox.take(wait=loop.idle):
            match asked.verb:
                case "draw":
                    loop.draw(asked)
                case "clear":
                    inbox.interrupted.clear()
                    tell(asked, loop.clear())
                case "costs":
                    tell(asked, {"unet_s": loop.unet_s(**asked.arguments)})
        if not loop.idle:
            loop.step(tell)
