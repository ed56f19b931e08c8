"""The samplers: pure functions from a noise schedule and a number of steps to a table of calls."""

from collections.abc import Callable
from typing import Final, TypeAlias

from latentry.contracts import ResolvedRequest, Sampler
from worker.engine.samplers.consistency import lcm, tcd
from worker.engine.samplers.ddim import ddim
from worker.engine.samplers.ddpm import ddpm
from worker.engine.samplers.dpmpp import dpmpp_2m, dpmpp_2m_sde, dpmpp_sde
from worker.engine.samplers.euler import euler, euler_ancestral
from worker.engine.samplers.multistep import deis, lms, pndm
from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.second_order import dpm2, dpm2_ancestral, heun
from worker.engine.samplers.table import STATE_ROWS, Table
from worker.engine.samplers.unipc import unipc

MakeTable: TypeAlias = Callable[[NoiseSchedule, int], Table]

SAMPLERS: Final[dict[Sampler, MakeTable]] = {
    Sampler.DDIM: ddim,
    Sampler.DDPM: ddpm,
    Sampler.PNDM: pndm,
    Sampler.EULER: euler,
    Sampler.EULER_A: euler_ancestral,
    Sampler.HEUN: heun,
    Sampler.DPMPP_2M: dpmpp_2m,
    Sampler.DPMPP_2M_SDE: dpmpp_2m_sde,
    Sampler.DPMPP_SDE: dpmpp_sde,
    Sampler.DPM2: dpm2,
    Sampler.DPM2_A: dpm2_ancestral,
    Sampler.LMS: lms,
    Sampler.DEIS: deis,
    Sampler.UNIPC: unipc,
    Sampler.LCM: lcm,
    Sampler.TCD: tcd,
}


def table_of(request: ResolvedRequest, schedule: NoiseSchedule) -> Table:
    """The calls of a request on a model with this noise schedule."""
    if not request.num_inference_steps:
        return Table.without_calls()
    schedule = schedule.spaced(request.spacing)
    return SAMPLERS[request.sampler](schedule, request.num_inference_steps)


__all__ = ["SAMPLERS", "STATE_ROWS", "MakeTable", "Table", "table_of"]
