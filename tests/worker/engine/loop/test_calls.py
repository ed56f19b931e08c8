"""What a request is charged for is what the engine does."""

import pytest

from latentry.contracts import Sampler
from latentry.rules.pricing import unet_calls
from worker.engine.samplers import SAMPLERS
from worker.engine.samplers.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule.from_config(
    {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
)


@pytest.mark.parametrize("sampler", Sampler)
@pytest.mark.parametrize("steps", [1, 2, 3, 20])
def test_every_call_of_a_sampler_is_counted(sampler: Sampler, steps: int) -> None:
    assert unet_calls(sampler, steps) == len(SAMPLERS[sampler](SCHEDULE, steps).inputs)
