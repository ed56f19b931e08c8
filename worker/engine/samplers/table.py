"""A sampler as a table: what every UNet call does to a trajectory, in coefficients.

All our samplers are linear in what they know: the latent x, up to four remembered latents h, the
model's output m, and fresh noise. A linear form over these is a vector of seven coefficients, and
X, H1 to H4, M and NOISE are the unit vectors. So a sampler is written once, as in its paper, with
forms for latents, and the engine applies the resulting coefficients of all rows with the same code.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from worker.engine.samplers.schedule import Array

STATE_ROWS: Final = 5  # x and h, which a trajectory keeps between calls
X, H1, H2, H3, H4, M, NOISE = np.eye(STATE_ROWS + 2)


@dataclass(frozen=True, slots=True)
class Level:
    """x = signal · x₀ + noise · ε: how much of the picture and of unit noise is in a latent."""

    signal: float
    noise: float

    @classmethod
    def at_sigma(cls, sigma: float) -> "Level":
        """x₀ + σ ε, for samplers that scale x before each call."""
        return cls(1.0, float(sigma))

    @classmethod
    def at_alpha(cls, alpha_cumprod: float) -> "Level":
        """√ᾱ x₀ + √(1 − ᾱ) ε."""
        return cls(math.sqrt(alpha_cumprod), math.sqrt(1 - alpha_cumprod))


@dataclass(frozen=True, slots=True, eq=False)
class SamplerCall:
    """One UNet call: the model's input is scale · x at `timestep`; then x and h become these forms.

    timestep: of training, 0 to 999 as a rule, and fractional for some samplers. level: of x before
    the call. x [7], h up to four of [7]: over (x, h1, h2, h3, h4, m, noise) before the call. What
    `h` leaves out is forgotten.
    """

    timestep: float
    level: Level
    x: Array
    h: tuple[Array, ...] = ()
    scale: float = 1.0
    completes_step: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """All calls of one trajectory, stacked.

    inputs [calls, 2]: timestep and scale. updates [calls, 5, 7]: new (x, h) from (x, h, m, noise).
    steps_done[k]: steps completed after k calls, those that are skipped included. x starts as unit
    noise times initial_sigma, or from a picture's latent at levels[0]. levels [calls + 1]: of x
    before each call, and after the last one. final_scale: of x after the last call, as one more
    call would see it; 1 where nothing of the noise is left.
    """

    inputs: Array
    updates: Array
    steps_done: tuple[int, ...]
    initial_sigma: float
    levels: tuple[Level, ...]
    final_scale: float = 1.0

    @classmethod
    def of(
        cls,
        calls: Iterable[SamplerCall],
        *,
        initial_sigma: float = 1.0,
        skipped: int = 0,
    ) -> "Table":
        """Stack the calls, which come after so many skipped steps."""
        calls = list(calls)
        updates = np.zeros((len(calls), STATE_ROWS, STATE_ROWS + 2))
        for update, call in zip(updates, calls, strict=True):
            update[: 1 + len(call.h)] = call.x, *call.h
        done = np.cumsum([skipped, *(call.completes_step for call in calls)])
        return cls(
            inputs=np.array([(call.timestep, call.scale) for call in calls]),
            updates=updates,
            steps_done=tuple(done.tolist()),
            initial_sigma=initial_sigma,
            levels=(*(call.level for call in calls), Level(1.0, 0.0)),
        )

    @classmethod
    def without_calls(cls) -> "Table":
        """No step at all: x stays the unit noise that it starts as, whatever the sampler."""
        inputs, updates = np.zeros((0, 2)), np.zeros((0, STATE_ROWS, STATE_ROWS + 2))
        levels = (Level.at_sigma(1.0),)  # as the unit noise that is all there is
        return cls(inputs, updates, steps_done=(0,), initial_sigma=1.0, levels=levels)

    def until(self, step: int) -> "Table":
        """The same up to the end of this step: what comes after it changes nothing before it."""
        calls = self.steps_done.index(step)
        if calls == len(self.inputs):
            return self
        return replace(
            self,
            inputs=self.inputs[:calls],
            updates=self.updates[:calls],
            steps_done=self.steps_done[: calls + 1],
            levels=self.levels[: calls + 1],
            final_scale=float(self.inputs[calls, 1]),
        )

    @property
    def draws(self) -> tuple[bool, ...]:
        """[calls]: whether each call adds fresh noise."""
        return tuple(bool(update[:, -1].any()) for update in self.updates)
