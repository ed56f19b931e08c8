"""One image's denoising: its state, its place in its table, and what its rows are told."""

from dataclasses import dataclass

import torch

from worker.batching import BatchKey
from worker.engine.conditioning import Conditioning
from worker.engine.messages import Order
from worker.engine.samplers import STATE_ROWS, Table
from worker.engine.stack import Stack


@dataclass(slots=True, eq=False, weakref_slot=True)
class Trajectory:
    """An image on its way. It costs one UNet row, or two with guidance.

    state [5, C, h, w]: x and what its sampler remembers, in fp32. inputs [calls, 3]: timestep,
    scale, guidance of each call.
    """

    order: Order
    key: BatchKey
    stack: Stack
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

    @classmethod
    def begin(
        cls,
        order: Order,
        stack: Stack,
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
        state[0] = stack.noise(shape, generator) * table.initial_sigma
        inputs = torch.tensor(table.inputs, dtype=torch.float32)
        guidance = torch.full((len(inputs), 1), request.guidance_scale)
        return cls(
            order=order,
            key=key,
            stack=stack,
            conditioning=conditioning,
            state=state,
            generator=generator,
            inputs=torch.cat([inputs, guidance], dim=1).to(device),
            updates=torch.tensor(table.updates, dtype=torch.float32, device=device),
            draws=table.draws,
            steps_done=table.steps_done,
        )

    @property
    def rows(self) -> int:
        """How many rows of a UNet call it takes."""
        return self.conditioning.rows

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

    def noise(self) -> torch.Tensor | None:
        """Fresh noise for the next call, if it needs any; the same until that call has happened."""
        if self.drawn is None and self.draws[self.calls]:
            self.drawn = self.stack.noise(tuple(self.latent.shape), self.generator)
        return self.drawn

    def advance(self, state: torch.Tensor) -> None:
        """Take the state after the next call."""
        self.state = state
        self.calls += 1
        self.drawn = None
