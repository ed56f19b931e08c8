"""What a model's scheduler config means here, and what it may not say."""

import math
from typing import Any

import pytest

from latentry.contracts import ModelCard, Sampler, Spacing
from latentry.errors import ConfigurationError
from tests.worker.engine import tiny
from worker.engine.models.card import make_card
from worker.engine.models.overrides import Overrides
from worker.engine.samplers.schedule import NoiseSchedule


def schedule(**changes: Any) -> NoiseSchedule:
    return NoiseSchedule.from_config(tiny.EPSILON | changes)


def card(overrides: dict[str, Any] | None = None, **changes: Any) -> ModelCard:
    config = tiny.EPSILON | changes
    return make_card(
        "model",
        Overrides.model_validate(overrides or {}),
        native=(64, 64),
        text_encoders=[{}],
        schedule=NoiseSchedule.from_config(config),
        scheduler=config,
        created=0,
        supports={"size_conditioning": False},
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"thresholding": True}, "thresholding=True; only False is supported"),
        ({"use_lu_lambdas": True}, "use_lu_lambdas"),
        ({"use_flow_sigmas": True}, "use_flow_sigmas"),
        ({"final_sigmas_type": "sigma_min"}, "only 'zero' is supported"),
        ({"solver_order": 3}, "solver_order=3"),
        ({"solver_type": "heun"}, "solver_type='heun'; only 'midpoint'"),
        ({"predict_x0": False}, "predict_x0"),
        ({"disable_corrector": [0]}, "disable_corrector"),
        ({"lambda_min_clipped": -5.1}, "lambda_min_clipped"),
        ({"sigma_max": 14.6}, "only leaving it out is supported"),
        ({"interpolation_type": "log_linear"}, "interpolation_type"),
        ({"use_karras_sigmas": True, "use_beta_sigmas": True}, "at most one"),
        ({"use_beta_sigmas": True, "timestep_spacing": "leading"}, "only 'linspace' is supported"),
        ({"rescale_betas_zero_snr": True}, "zero terminal SNR"),
        ({"trained_betas": [0.1, 0.5, 1.0]}, "zero terminal SNR"),
    ],
)
def test_mathematics_that_no_sampler_here_has_is_refused(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        schedule(**changes)


def test_what_changes_nothing_here_is_no_reason_to_refuse_a_model() -> None:
    schedule(
        lower_order_final=False, euler_at_final=True, lambda_min_clipped=-math.inf, sigma_min=None,
        solver_order=2, solver_type="midpoint", use_karras_sigmas=None, variance_type=None,
    )  # fmt: skip


@pytest.mark.parametrize("spacing", ["karras", "exponential", "beta"])
def test_a_config_that_sets_a_spacing_makes_it_the_models_default(spacing: str) -> None:
    asks = {f"use_{spacing}_sigmas": True, "_class_name": "DPMSolverMultistepScheduler"}
    assert schedule(**asks).spacing == spacing
    defaults = card(**asks, algorithm_type="sde-dpmsolver++").defaults
    assert (defaults.sampler, defaults.spacing) == (Sampler.DPMPP_2M_SDE, spacing)


def test_a_spacing_is_ignored_as_diffusers_does_where_the_sampler_has_none() -> None:
    asks = {"use_karras_sigmas": True, "_class_name": "EulerAncestralDiscreteScheduler"}
    assert card(**asks).defaults.spacing is Spacing.DEFAULT


def test_a_models_overrides_may_name_a_spacing_that_its_sampler_has() -> None:
    overrides = {"default_sampler": "dpmpp_2m", "default_spacing": "karras"}
    assert card(overrides).defaults.spacing is Spacing.KARRAS
    assert card(overrides, use_beta_sigmas=True).defaults.spacing is Spacing.KARRAS
    with pytest.raises(ConfigurationError, match="ddim has no karras spacing"):
        card({"default_sampler": "ddim", "default_spacing": "karras"})
