"""The noise-stepping methods: pure functions from a noise schedule and a step count to a table."""

from collections.abc import Callable
from typing import Final, TypeAlias

from latentry.contracts import Sampler
from worker.engine.samplers.ddim import ddim
from worker.engine.samplers.euler import euler
from worker.engine.samplers.table import STATE_ROWS, Table
from worker.engine.schedule import NoiseSchedule

MakeTable: TypeAlias = Callable[[NoiseSchedule, int], Table]

SAMPLERS: Final[dict[Sampler, MakeTable]] = {
    Sampler.DDIM: ddim,
    Sampler.EULER: euler,
}

__all__ = ["SAMPLERS", "STATE_ROWS", "MakeTable", "Table"]
