"""The samplers: pure functions from a noise schedule and a number of steps to a table of calls."""

from typing import Final, Protocol

from latentry.contracts import ResolvedRequest, Sampler
from latentry.rules.pricing import skipped_steps
from worker.engine.samplers.consistency import lcm, tcd
from worker.engine.samplers.ddim import ddim
from worker.engine.samplers.ddpm import ddpm
from worker.engine.samplers.dpmpp import dpmpp_2m, dpmpp_2m_sde, dpmpp_sde
from worker.engine.samplers.euler import euler, euler_ancestral
from worker.engine.samplers.multistep import deis, lms, pndm
from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.second_order import dpm2, dpm2_ancestral, heun
from worker.engine.samplers.table import STATE_ROWS, Level, Table
from worker.engine.samplers.unipc import unipc


class MakeTable(Protocol):
    """From a noise schedule and a number of steps to the calls of all but the first `skip`."""

    def __call__(self, schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
        """See the class."""
        ...


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
    """The calls of a request's only pass on a model with this noise schedule."""
    if not request.num_inference_steps:
        return Table.without_calls()
    schedule, steps = schedule.spaced(request.spacing), request.num_inference_steps
    table = SAMPLERS[request.sampler](schedule, steps, skipped_steps(request))
    return table.until(request.last_step)


__all__ = ["SAMPLERS", "STATE_ROWS", "Level", "MakeTable", "Table", "table_of"]
