"""Whatever number of steps a card admits makes a table of finite numbers."""

from typing import Any

import numpy as np
import pytest

from latentry.contracts import Sampler, Spacing
from latentry.contracts.samplers import SAMPLER_STEPS
from latentry.errors import ConfigurationError
from tests.worker.engine import stock, tiny
from worker.engine.samplers import SAMPLERS
from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.spacing import fractional_walk, whole_walk

CONFIGS: dict[str, dict[str, Any]] = {
    f"{name} {spacing}": tiny.EPSILON | changes | {"timestep_spacing": spacing}
    for name, changes in {
        "epsilon": {},
        "zero SNR": {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
        "cosine": {"prediction_type": "v_prediction", "beta_schedule": "squaredcos_cap_v2"},
        "short": {"num_train_timesteps": 50, "steps_offset": 0},
        "sample": {"num_train_timesteps": 120, "steps_offset": 0, "prediction_type": "sample"},
    }.items()
    for spacing in (None, "leading", "linspace", "trailing")
}


def tables(config: dict[str, Any], sampler: Sampler, spacing: Spacing, counts: set[int]) -> None:
    schedule = NoiseSchedule.from_config(config).spaced(spacing)
    most = min(schedule.max_steps, SAMPLER_STEPS.get(sampler, schedule.max_steps))
    for steps in sorted({min(steps, most) for steps in counts} | {most}):
        table = SAMPLERS[sampler](schedule, steps)
        assert table.steps_done[-1] == steps
        assert np.isfinite(table.updates).all(), steps
        assert table.updates[-1, 0].any(), steps
        timesteps = table.inputs[:, 0]
        assert 0 <= timesteps.min() <= timesteps.max() <= schedule.length - 1, steps


@pytest.mark.parametrize("config", ["epsilon leading", "zero SNR trailing", "short linspace"])
@pytest.mark.parametrize("sampler", Sampler)
def test_every_table_is_finite_at_the_fewest_and_the_most_steps(
    sampler: Sampler, config: str
) -> None:
    for spacing in (spacing for one, spacing in stock.WALKS if one is sampler):
        tables(CONFIGS[config], sampler, spacing, {1, 2, 3, 61})


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("sampler", "spacing"), stock.WALKS)
def test_every_table_of_every_schedule_is_finite(sampler: Sampler, spacing: Spacing) -> None:
    for config in CONFIGS:
        tables(CONFIGS[config], sampler, spacing, {*range(1, 60), 250, 700})


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("spacing", Spacing)
def test_every_walk_goes_down_at_any_number_of_steps(spacing: Spacing, config: str) -> None:
    """Two equal levels make the ratio of two steps' lengths 0 / 0."""
    schedule = NoiseSchedule.from_config(CONFIGS[config]).spaced(spacing)
    every = 1 if spacing is Spacing.DEFAULT else 53
    for steps in (*range(1, schedule.max_steps, every), schedule.max_steps):
        for walk in (whole_walk, fractional_walk):
            timesteps, sigmas = walk(schedule, steps)
            assert (np.diff(sigmas) < 0).all(), (walk, steps)
            assert np.isfinite(sigmas).all(), (walk, steps)
            assert 0 <= timesteps.min() <= timesteps.max() < schedule.length, (walk, steps)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"beta_start": 0.0}, "does not grow with every timestep"),
        ({"trained_betas": [0.1] * 60 + [1.0] * 2}, "does not grow with every timestep"),
        ({"trained_betas": [0.1] * 60 + [-0.1]}, "does not grow with every timestep"),
        ({"num_train_timesteps": 20}, "num_train_timesteps=20"),
        ({"steps_offset": -1}, "steps_offset=-1"),
        ({"steps_offset": 2}, "steps_offset=2"),
    ],
)
def test_levels_that_samplers_cannot_step_through_are_refused(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        NoiseSchedule.from_config(tiny.V_ZERO_SNR | {"rescale_betas_zero_snr": False} | changes)
