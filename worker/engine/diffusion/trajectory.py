"""One image's denoising: its state, its place in its table, and what its rows are told."""

from dataclasses import dataclass, replace

import torch

from worker.batching import BatchKey
from worker.engine.conditioning import Conditioning
from worker.engine.diffusion.predicted_x0 import X0Coefficients, x0_coefficients
from worker.engine.loop.messages import Order
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.samplers import STATE_ROWS, Table


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """What the calls from here on depend on. `drawn`: noise for the next one, if it is drawn."""

    calls: int
    state: torch.Tensor
    generator: torch.Tensor
    drawn: torch.Tensor | None


@dataclass(slots=True, eq=False, weakref_slot=True)
class Trajectory:
    """An image on its way. It costs one UNet row, or two with guidance.

    state [5, C, h, w]: x and what its sampler remembers, in fp32. inputs [calls, 3]: timestep,
    scale, guidance of each call. features [rows, C', h', w']: what a shallow call reuses.
    x0_coefficients: how to guess x₀ at each call, if anybody wants to see it; sight [C, h, w]: the
    latest guess.
    """

    order: Order
    home: BatchKey
    stack: LoadedModel
    conditioning: Conditioning
    state: torch.Tensor
    generator: torch.Generator
    inputs: torch.Tensor
    updates: torch.Tensor
    draws: tuple[bool, ...]
    steps_done: tuple[int, ...]
    since: float = 0.0
    calls: int = 0
    drawn: torch.Tensor | None = None
    features: torch.Tensor | None = None
    anchor: "Anchor | None" = None
    x0_coefficients: tuple[X0Coefficients, ...] = ()
    sight: torch.Tensor | None = None
    picture: str = ""  # what its checkpoints call it, once it was worked out

    @classmethod
    def begin(
        cls,
        order: Order,
        stack: LoadedModel,
        table: Table,
        *,
        key: BatchKey,
        conditioning: Conditioning,
    ) -> "Trajectory":
        """Draw the first noise and move the table to the device."""
        request, device = order.request, stack.at.device
        generator = torch.Generator().manual_seed(order.seed)
        shape = stack.latent_shape(request.width, request.height)
        state = torch.zeros(STATE_ROWS, *shape, device=device)
        state[0] = stack.noise(shape, generator).to(device) * table.initial_sigma
        inputs = torch.tensor(table.inputs, dtype=torch.float32)
        guidance = torch.full((len(inputs), 1), request.guidance_scale)
        return cls(
            order=order,
            home=key,
            stack=stack,
            conditioning=conditioning,
            state=state,
            generator=generator,
            inputs=torch.cat([inputs, guidance], dim=1).to(device),
            updates=torch.tensor(table.updates, dtype=torch.float32, device=device),
            draws=table.draws,
            steps_done=table.steps_done,
            x0_coefficients=x0_coefficients(stack.schedule, table)
            if request.preview_interval
            else (),
        )

    @property
    def key(self) -> BatchKey:
        """With whom it can share its next call."""
        shallow = self.calls % self.home.interval > 0
        return replace(self.home, shallow=True) if shallow else self.home

    @property
    def told(self) -> Conditioning:
        """What its rows are told in the next call: both prompts, or the one when guidance ended."""
        return self.conditioning.unguided if self._guidance_is_over else self.conditioning

    @property
    def _guidance_is_over(self) -> bool:
        return self.calls >= len(self.draws) * self.order.request.guidance_stop

    @property
    def rows(self) -> int:
        """How many rows of a UNet call it takes."""
        return 1 if self._guidance_is_over else self.conditioning.rows

    @property
    def rescale(self) -> float:
        """How far its guided output is scaled back; without guidance there is nothing to."""
        return self.order.request.guidance_rescale if self.rows == 2 else 0.0

    @property
    def step(self) -> int:
        """How many of its steps are done."""
        return self.steps_done[self.calls]

    @property
    def calls_left(self) -> int:
        """UNet calls until only the VAE is left."""
        return len(self.draws) - self.calls

    @property
    def latent(self) -> torch.Tensor:
        """x, [C, h, w]."""
        return self.state[0]

    @property
    def shows(self) -> bool:
        """Whether its next call ends a step after which a preview is due."""
        interval = self.order.request.preview_interval
        done = self.steps_done[self.calls + 1]
        return bool(interval) and done > self.step and done % interval == 0

    def noise(self) -> torch.Tensor | None:
        """Fresh noise for the next call, if it needs any; the same until that call has happened.

        On the CPU: a call moves that of all its images at once.
        """
        if self.drawn is None and self.draws[self.calls]:
            self.drawn = self.stack.noise(tuple(self.latent.shape), self.generator)
        return self.drawn

    def standing(self) -> "Anchor":
        """Where it can be taken up again: here, or at its last full call, whose features are gone.

        Kept features would make a checkpoint ten times as large, for a call or two.
        """
        if self.key.shallow and self.anchor is not None:
            return self.anchor
        return Anchor(self.calls, self.state, self.generator.get_state(), self.drawn)

    def advance(self, state: torch.Tensor, features: torch.Tensor | None = None) -> None:
        """Take the state after the next call, and from a full one what shallow ones reuse."""
        if features is not None:
            self.features = features
        self.state = state
        self.calls += 1
        self.drawn = None
