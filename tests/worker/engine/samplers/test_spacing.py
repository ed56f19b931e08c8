"""Every walk from noise to picture visits diffusers' own timesteps."""

import numpy as np
import pytest
import scipy.stats

from latentry.contracts import Sampler, Spacing
from tests.worker.engine import stock, tiny
from worker.engine.samplers import SAMPLERS
from worker.engine.samplers.quantile import symmetric_beta_quantiles
from worker.engine.samplers.schedule import NoiseSchedule

pytestmark = stock.WARNINGS

# scaled_linear, with zero terminal SNR, leading, and another length.
CONFIGS = tiny.SCHEDULERS | {
    "leading": tiny.EPSILON | {"timestep_spacing": "leading"},
    "short": tiny.EPSILON | {"num_train_timesteps": 777, "beta_schedule": "linear"},
}


@pytest.mark.parametrize("model", CONFIGS)
@pytest.mark.parametrize(("sampler", "spacing"), stock.WALKS)
def test_the_timesteps_are_diffusers_own(sampler: Sampler, spacing: Spacing, model: str) -> None:
    schedule = NoiseSchedule.from_config(CONFIGS[model]).spaced(spacing)
    theirs = stock.scheduler(CONFIGS[model], sampler, spacing)
    # Stock finds how far down an ancestral step goes by subtracting nearly equal floats.
    atol = 1e-2 if sampler is Sampler.DPM2_A else 2e-4
    for steps in (1, 2, 5, 8, 25):
        table = SAMPLERS[sampler](schedule, steps)
        theirs.set_timesteps(steps)
        ours = table.inputs[:, 0].astype(np.float32)
        assert np.allclose(ours, theirs.timesteps.float().numpy(), rtol=0, atol=atol), steps


@pytest.mark.parametrize("points", [1, 2, 5, 50, 999])
def test_quantiles_of_the_beta_distribution_are_scipys(points: int) -> None:
    masses = 1 - np.linspace(0, 1, points)
    ours = symmetric_beta_quantiles(masses, 0.6)
    assert np.allclose(ours, scipy.stats.beta.ppf(masses, 0.6, 0.6), rtol=1e-13, atol=0)
