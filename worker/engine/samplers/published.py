"""The sampler that a model was published with, and what of its scheduler's config is not obeyed.

docs/samplers.md has both as tables, which the tests compare with these.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from latentry.contracts import Sampler
from latentry.errors import ConfigurationError
from worker.engine.samplers.scheduler_config import KNOWN_OPTIONS

# diffusers' classes whose steps are those of a sampler here; the parallel ones differ in batching.
EXACT: Final[Mapping[str, Sampler]] = {
    "DDIMScheduler": Sampler.DDIM,
    "DDIMParallelScheduler": Sampler.DDIM,
    "DDPMScheduler": Sampler.DDPM,
    "DDPMParallelScheduler": Sampler.DDPM,
    "DEISMultistepScheduler": Sampler.DEIS,
    "DPMSolverMultistepScheduler": Sampler.DPMPP_2M,
    "DPMSolverSinglestepScheduler": Sampler.DPMPP_SDE,
    "EulerAncestralDiscreteScheduler": Sampler.EULER_A,
    "EulerDiscreteScheduler": Sampler.EULER,
    "HeunDiscreteScheduler": Sampler.HEUN,
    "KDPM2AncestralDiscreteScheduler": Sampler.DPM2_A,
    "KDPM2DiscreteScheduler": Sampler.DPM2,
    "LCMScheduler": Sampler.LCM,
    "LMSDiscreteScheduler": Sampler.LMS,
    "PNDMScheduler": Sampler.PNDM,
    "TCDScheduler": Sampler.TCD,
    "UniPCMultistepScheduler": Sampler.UNIPC,
}
# Classes for the same models whose steps are others, and the sampler that is most like each.
NEAREST: Final[Mapping[str, Sampler]] = {
    "DPMSolverSDEScheduler": Sampler.DPMPP_SDE,
    "SASolverScheduler": Sampler.DPMPP_2M_SDE,
}
_SDE: Final = "sde-dpmsolver++"


@dataclass(frozen=True, slots=True)
class Published:
    """The sampler that a scheduler's config asks for. differences: from what it asks, if any."""

    sampler: Sampler
    differences: tuple[str, ...] = ()


def published_sampler(config: Mapping[str, Any]) -> Published:
    """The sampler of a config, or the nearest one. Raises ConfigurationError for other classes."""
    name = str(config.get("_class_name"))
    if name in NEAREST:
        return Published(NEAREST[name], (_taken(f"the {name}", NEAREST[name]),))
    if name not in EXACT:
        known = ", ".join(sorted({*EXACT, *NEAREST}))
        raise ConfigurationError(f"The model has {name} as its scheduler; supported are {known}.")
    match name:
        case "DPMSolverMultistepScheduler":
            return _multistep(config.get("algorithm_type") or "dpmsolver++")
        case "DPMSolverSinglestepScheduler":
            return _singlestep(config.get("algorithm_type") or "dpmsolver++")
    return Published(EXACT[name], tuple(_differences(config)))


def unknown_options(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences about the entries of a config that no scheduler for these models has."""
    unknown = sorted(
        option for option in config if not option.startswith("_") and option not in KNOWN_OPTIONS
    )
    return tuple(
        f"The model's scheduler has {option}={config[option]!r}, which is unknown and was ignored."
        for option in unknown
    )


def _multistep(algorithm: str) -> Published:
    sampler = Sampler.DPMPP_2M_SDE if algorithm.startswith("sde-") else Sampler.DPMPP_2M
    if algorithm in ("dpmsolver++", "deis", _SDE):  # "deis": diffusers takes it for dpmsolver++
        return Published(sampler)
    return Published(sampler, (_taken(f"algorithm_type={algorithm!r}", sampler),))


def _singlestep(algorithm: str) -> Published:
    if algorithm == _SDE:
        return Published(Sampler.DPMPP_SDE)
    asked = f"the DPMSolverSinglestepScheduler with algorithm_type={algorithm!r}"
    return Published(Sampler.DPMPP_2M, (_taken(asked, Sampler.DPMPP_2M),))


def _differences(config: Mapping[str, Any]) -> Iterator[str]:
    match config["_class_name"]:
        case "PNDMScheduler" if not config.get("skip_prk_steps"):
            yield _taken("the PNDMScheduler without skip_prk_steps", Sampler.PNDM)
        case "DEISMultistepScheduler" if config.get("lower_order_final") is False:
            yield _taken("the DEISMultistepScheduler without lower_order_final", Sampler.DEIS)


def _taken(asked: str, sampler: Sampler) -> str:
    return (
        f"The model's scheduler is {asked}, which is not implemented; its default sampler is the "
        f"nearest one, {sampler}."
    )
