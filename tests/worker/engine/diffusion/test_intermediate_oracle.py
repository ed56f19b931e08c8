"""Each step of the way against stock: its callback's latents and its scheduler's guesses."""

import functools
from typing import Any

import pytest
import torch

from latentry.contracts import Intermediates, Sampler, Spacing
from tests.worker.engine import stock, tiny
from tests.worker.engine.stock import Stock, error, scheduler
from worker.engine.diffusion.diffusion import Diffusion

pytestmark = stock.WARNINGS

STEPS = 6
GUESSING = [Sampler.DDIM, Sampler.DDPM, Sampler.EULER, Sampler.EULER_A]
MODELS = ["sd1-epsilon", "sd1-v"]


def of_stock(
    reference: Stock, model: str, sampler: Sampler
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """After each step its latent as the next call sees it, and what the scheduler took x0 for."""
    pipeline = reference._pipelines[model]
    pipeline.scheduler = made = scheduler(reference._configs[model], sampler, Spacing.DEFAULT)
    seen: list[torch.Tensor] = []
    guesses: list[torch.Tensor] = []
    step = made.step

    @functools.wraps(step)  # the pipeline looks whether it takes a generator
    def stepped(*args: Any, return_dict: bool = True, **options: Any) -> Any:
        answer = step(*args, **options)
        guesses.append(answer.pred_original_sample[0].clone())
        return answer if return_dict else (answer.prev_sample,)

    def after(_: Any, index: int, __: Any, given: dict[str, Any]) -> dict[str, Any]:
        x = given["latents"]
        if index + 1 < len(made.timesteps):
            timestep = made.timesteps[index + 1]
            place = getattr(made, "_step_index", None)
            x = made.scale_model_input(x, timestep)
            if place is not None:
                made._step_index = place
        seen.append(x[0].clone())
        return given

    made.step = stepped
    pipeline(
        prompt="a red circle",
        width=64,
        height=64,
        num_inference_steps=STEPS,
        guidance_scale=2.0,
        generator=torch.Generator().manual_seed(3),
        output_type="latent",
        callback_on_step_end=after,
    )
    return seen, guesses


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sampler", GUESSING)
def test_every_latent_and_every_guess_is_stock_s(
    every_model: Diffusion, reference: Stock, sampler: Sampler, model: str
) -> None:
    order = tiny.order(
        model=model,
        sampler=sampler,
        seed=3,
        num_inference_steps=STEPS,
        guidance_scale=2.0,
        intermediates=Intermediates(every=1),
    )
    seen, guesses = of_stock(reference, model, sampler)
    trajectory, _ = every_model.begin(order, every_model.plan(order))
    for step in range(STEPS):
        every_model.advance([trajectory], trajectory.rows)
        assert trajectory.predicted_x0 is not None
        assert error(trajectory.seen, seen[step]) <= 1, step
        assert error(trajectory.predicted_x0, guesses[step]) <= 10, step
