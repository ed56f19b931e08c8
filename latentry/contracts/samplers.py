"""Sampling methods, the spacings that each supports, and their names in other programs."""

from enum import StrEnum
from typing import Final


class Sampler(StrEnum):
    """The sampling methods (diffusers calls them schedulers)."""

    DDIM = "ddim"
    DDPM = "ddpm"
    PNDM = "pndm"
    EULER = "euler"
    EULER_A = "euler_a"
    HEUN = "heun"
    DPMPP_2M = "dpmpp_2m"
    DPMPP_2M_SDE = "dpmpp_2m_sde"
    DPMPP_SDE = "dpmpp_sde"
    DPM2 = "dpm2"
    DPM2_A = "dpm2_a"
    LMS = "lms"
    DEIS = "deis"
    UNIPC = "unipc"
    LCM = "lcm"
    TCD = "tcd"


class Spacing(StrEnum):
    """How a sampler's noise levels are spaced (AUTOMATIC1111's schedule type).

    `default`: by timesteps, as the model's configuration says.
    """

    DEFAULT = "default"
    KARRAS = "karras"
    EXPONENTIAL = "exponential"
    BETA = "beta"
    SGM_UNIFORM = "sgm_uniform"


# The maximum number of steps, where there is one: consistency models are distilled from 50.
SAMPLER_STEPS: Final[dict[Sampler, int]] = {Sampler.LCM: 50, Sampler.TCD: 50}

_BY_TIMESTEPS: Final = (Spacing.DEFAULT, Spacing.SGM_UNIFORM)

# The spacings that the diffusers scheduler of each sampler supports.
SAMPLER_SPACINGS: Final[dict[Sampler, tuple[Spacing, ...]]] = {
    Sampler.DDIM: _BY_TIMESTEPS,
    Sampler.DDPM: _BY_TIMESTEPS,
    Sampler.PNDM: _BY_TIMESTEPS,
    Sampler.EULER: tuple(Spacing),
    Sampler.EULER_A: _BY_TIMESTEPS,
    Sampler.HEUN: tuple(Spacing),
    Sampler.DPMPP_2M: tuple(Spacing),
    Sampler.DPMPP_2M_SDE: tuple(Spacing),
    Sampler.DPMPP_SDE: (Spacing.DEFAULT, Spacing.KARRAS, Spacing.EXPONENTIAL, Spacing.BETA),
    Sampler.DPM2: tuple(Spacing),
    Sampler.DPM2_A: tuple(Spacing),
    Sampler.LMS: tuple(Spacing),
    Sampler.DEIS: tuple(Spacing),
    Sampler.UNIPC: tuple(Spacing),
    Sampler.LCM: (Spacing.DEFAULT,),
    Sampler.TCD: (Spacing.DEFAULT,),
}

# Their names in diffusers and AUTOMATIC1111.
SAMPLER_ALIASES: Final[dict[str, Sampler]] = {
    "DDIMScheduler": Sampler.DDIM,
    "DDIM": Sampler.DDIM,
    "DDPMScheduler": Sampler.DDPM,
    "DDPM": Sampler.DDPM,
    "PNDMScheduler": Sampler.PNDM,
    "PLMS": Sampler.PNDM,
    "EulerDiscreteScheduler": Sampler.EULER,
    "Euler": Sampler.EULER,
    "EulerAncestralDiscreteScheduler": Sampler.EULER_A,
    "Euler a": Sampler.EULER_A,
    "HeunDiscreteScheduler": Sampler.HEUN,
    "Heun": Sampler.HEUN,
    "DPMSolverMultistepScheduler": Sampler.DPMPP_2M,
    "DPM++ 2M": Sampler.DPMPP_2M,
    "DPM++ 2M SDE": Sampler.DPMPP_2M_SDE,
    "DPMSolverSinglestepScheduler": Sampler.DPMPP_SDE,
    "DPM++ SDE": Sampler.DPMPP_SDE,
    "KDPM2DiscreteScheduler": Sampler.DPM2,
    "DPM2": Sampler.DPM2,
    "KDPM2AncestralDiscreteScheduler": Sampler.DPM2_A,
    "DPM2 a": Sampler.DPM2_A,
    "LMSDiscreteScheduler": Sampler.LMS,
    "LMS": Sampler.LMS,
    "DEISMultistepScheduler": Sampler.DEIS,
    "DEIS": Sampler.DEIS,
    "UniPCMultistepScheduler": Sampler.UNIPC,
    "UniPC": Sampler.UNIPC,
    "LCMScheduler": Sampler.LCM,
    "LCM": Sampler.LCM,
    "TCDScheduler": Sampler.TCD,
    "TCD": Sampler.TCD,
}
SPACING_ALIASES: Final[dict[str, Spacing]] = {
    "Karras": Spacing.KARRAS,
    "Exponential": Spacing.EXPONENTIAL,
    "Beta": Spacing.BETA,
    "SGM Uniform": Spacing.SGM_UNIFORM,
}
# Older versions of AUTOMATIC1111 join both names: `DPM++ 2M Karras`.
JOINED_ALIASES: Final[dict[str, tuple[Sampler, Spacing]]] = {
    f"{name} {label}": (sampler, spacing)
    for name, sampler in SAMPLER_ALIASES.items()
    for label, spacing in SPACING_ALIASES.items()
    if not name.endswith("Scheduler") and spacing in SAMPLER_SPACINGS[sampler]
}
