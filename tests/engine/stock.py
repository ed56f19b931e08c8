"""diffusers' own schedulers as our sampler ids mean them: what the engine has to equal."""

import importlib
from collections.abc import Mapping
from typing import Any

import pytest

from latentry.contracts import Sampler, Spacing
from latentry.contracts.samplers import SAMPLER_SPACINGS

_KINDS: dict[Sampler, tuple[str, dict[str, Any]]] = {
    Sampler.DDIM: ("ddim.DDIM", {"clip_sample": False}),
    Sampler.DDPM: ("ddpm.DDPM", {"clip_sample": False}),
    Sampler.PNDM: ("pndm.PNDM", {"skip_prk_steps": True}),
    Sampler.EULER: ("euler_discrete.EulerDiscrete", {}),
    Sampler.EULER_A: ("euler_ancestral_discrete.EulerAncestralDiscrete", {}),
    Sampler.HEUN: ("heun_discrete.HeunDiscrete", {}),
    Sampler.DPMPP_2M: ("dpmsolver_multistep.DPMSolverMultistep", {}),
    Sampler.DPMPP_2M_SDE: (
        "dpmsolver_multistep.DPMSolverMultistep",
        {"algorithm_type": "sde-dpmsolver++"},
    ),
    Sampler.DPMPP_SDE: (
        "dpmsolver_singlestep.DPMSolverSinglestep",
        {"algorithm_type": "sde-dpmsolver++"},
    ),
    Sampler.DPM2: ("k_dpm_2_discrete.KDPM2Discrete", {}),
    Sampler.UNIPC: ("unipc_multistep.UniPCMultistep", {}),
    Sampler.LCM: ("lcm.LCM", {}),
}
# As diffusers' documentation translates AUTOMATIC1111's schedule types (Schedulers, overview).
_SPACINGS: dict[Spacing, dict[str, Any]] = {
    Spacing.DEFAULT: {},
    Spacing.KARRAS: {"use_karras_sigmas": True},
    Spacing.EXPONENTIAL: {"timestep_spacing": "linspace", "use_exponential_sigmas": True},
    Spacing.BETA: {"timestep_spacing": "linspace", "use_beta_sigmas": True},
    Spacing.SGM_UNIFORM: {"timestep_spacing": "trailing"},
}
# Stock diffusers 0.42 hands tensors to numpy 2.
WARNINGS = [
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning"),
]
WALKS = [(sampler, spacing) for sampler, has in SAMPLER_SPACINGS.items() for spacing in has]


def scheduler(config: Mapping[str, Any], sampler: Sampler, spacing: Spacing) -> Any:
    """The stock scheduler for a model with this scheduler config."""
    name, options = _KINDS[sampler]
    module, kind = name.split(".")
    made = getattr(_module(module), f"{kind}Scheduler")
    return made.from_config(config, **(options | _SPACINGS[spacing]))


def _module(name: str) -> Any:
    return importlib.import_module(f"diffusers.schedulers.scheduling_{name}")
