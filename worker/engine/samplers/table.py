"""A sampler as a table: what every UNet call does to a trajectory, in coefficients.

All our samplers are linear in what they know: the latent x, up to four remembered latents h, the
model's output m, and fresh noise. A linear form over these is a vector of seven coefficients, and
X, H1 to H4, M and NOISE are the unit vectors. So a sampler is written once, as in its paper, with
forms for latents, and the engine applies the resulting coefficients of all rows with the same code.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from worker.engine.samplers.schedule import Array

STATE_ROWS: Final = 5  # x and h, which a trajectory keeps between calls
X, H1, H2, H3, H4, M, NOISE = np.eye(STATE_ROWS + 2)


@dataclass(frozen=True, slots=True, eq=False)
class SamplerCall:
    """One UNet call: the model's input is scale · x at `timestep`; then x and h become these forms.

    x [7], h up to four of [7]: over (x, h1, h2, h3, h4, m, noise) before the call. What `h` leaves
    out is forgotten. timestep: of training, 0 to 999 as a rule, and fractional for some samplers.
    """

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
        """Stack the calls."""
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

    @classmethod
    def without_calls(cls) -> "Table":
        """No step at all: x stays the unit noise that it starts as, whatever the sampler."""
        inputs, updates = np.zeros((0, 2)), np.zeros((0, STATE_ROWS, STATE_ROWS + 2))
        return cls(inputs, updates, steps_done=(0,), initial_sigma=1.0)

    @property
    def draws(self) -> tuple[bool, ...]:
        """[calls]: whether each call adds fresh noise."""
        return tuple(bool(update[:, -1].any()) for update in self.updates)
