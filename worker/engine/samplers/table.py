"""A sampler as a table: what every UNet call does to a trajectory, in coefficients.

All our samplers are linear in what they know: the latent x, up to four remembered latents h, the
model's output m, and fresh noise. So a sampler is written once, as in its paper, over the unit
vectors below, and out come coefficients; the engine applies everybody's with the same code.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from worker.engine.samplers.schedule import Array

STATE_ROWS: Final = 5
X, H1, H2, H3, H4, M, NOISE = np.eye(STATE_ROWS + 2)


@dataclass(frozen=True, slots=True, eq=False)
class SamplerCall:
    """One UNet call: the model sees scale · x at the timestep; then x and h become these forms."""

    timestep: float
    x: Array
    h: tuple[Array, ...] = ()
    scale: float = 1.0
    completes_step: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """All calls of one trajectory, stacked.

    inputs [calls, 2]: timestep and scale. updates [calls, 5, 7]: new (x, h) from (x, h, m, noise).
    steps_done[k]: steps completed after k calls. x starts as unit noise times initial_sigma.
    start_call: the first call that is made; 0 unless an image starts from a picture.
    """

    inputs: Array
    updates: Array
    steps_done: tuple[int, ...]
    initial_sigma: float
    start_call: int = 0

    @classmethod
    def of(cls, calls: Iterable[SamplerCall], *, initial_sigma: float = 1.0) -> "Table":
        """Stack the calls; what a call does not mention is forgotten."""
        calls = list(calls)
        updates = np.zeros((len(calls), STATE_ROWS, STATE_ROWS + 2))
        for update, call in zip(updates, calls, strict=True):
            update[: 1 + len(call.h)] = call.x, *call.h
        done = np.cumsum([0, *(call.completes_step for call in calls)])
        return cls(
            inputs=np.array([(call.timestep, call.scale) for call in calls]),
            updates=updates,
            steps_done=tuple(done.tolist()),
            initial_sigma=initial_sigma,
        )

    @property
    def draws(self) -> tuple[bool, ...]:
        """Which calls need fresh noise."""
        return tuple(bool(update[:, -1].any()) for update in self.updates)
