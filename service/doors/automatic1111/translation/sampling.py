"""Samplers and schedule types by AUTOMATIC1111's names."""

from collections.abc import Mapping
from typing import Any, Final

from latentry.contracts.samplers import SAMPLER_ALIASES, Sampler, Spacing
from latentry.errors import NotFound, UnsupportedField, UnsupportedSpacing
from service.doors.automatic1111.requests.generations import AnyGeneration

NAMES: Final[Mapping[Sampler, str]] = {
    sampler: name for name, sampler in SAMPLER_ALIASES.items() if not name.endswith("Scheduler")
}
ALIASES: Final[Mapping[Sampler, tuple[str, ...]]] = {
    Sampler.EULER_A: ("k_euler_a", "k_euler_ancestral"),
    Sampler.EULER: ("k_euler",),
    Sampler.LMS: ("k_lms",),
    Sampler.HEUN: ("k_heun",),
    Sampler.DPM2: ("k_dpm_2",),
    Sampler.DPM2_A: ("k_dpm_2_a",),
    Sampler.DPMPP_2M: ("k_dpmpp_2m",),
    Sampler.DPMPP_SDE: ("k_dpmpp_sde",),
    Sampler.DPMPP_2M_SDE: ("k_dpmpp_2m_sde",),
    Sampler.DDIM: ("ddim",),
    Sampler.PNDM: ("plms",),
    Sampler.UNIPC: ("unipc",),
}
# Label and name of each schedule type, as `GET /sdapi/v1/schedulers` has them.
SCHEDULERS: Final[Mapping[str, Spacing | None]] = {
    "Automatic": None,
    "Uniform": Spacing.DEFAULT,
    "Karras": Spacing.KARRAS,
    "Exponential": Spacing.EXPONENTIAL,
    "SGM Uniform": Spacing.SGM_UNIFORM,
    "Beta": Spacing.BETA,
}
# What `Automatic` is for a sampler in modules/sd_samplers_kdiffusion.py since 1.9; else uniform.
_AUTOMATIC: Final = {
    Sampler.DPMPP_2M: Spacing.KARRAS,
    Sampler.DPMPP_SDE: Spacing.KARRAS,
    Sampler.DPMPP_2M_SDE: Spacing.EXPONENTIAL,
    Sampler.DPM2: Spacing.KARRAS,
    Sampler.DPM2_A: Spacing.KARRAS,
}
_KNOWN: Final = {
    name.casefold(): sampler
    for sampler in NAMES
    for name in (NAMES[sampler], *ALIASES.get(sampler, ()))
}
_ANCESTRAL: Final = (Sampler.EULER_A, Sampler.DPM2_A)


def scheduler_name(label: str) -> str:
    """A schedule type's name in requests: `sgm_uniform` of `SGM Uniform`."""
    return label.lower().replace(" ", "_")


_SPACINGS: Final = {
    name: spacing
    for label, spacing in SCHEDULERS.items()
    for name in (label.lower(), scheduler_name(label), label.lower().replace(" ", ""))
}


def sampling(body: AnyGeneration) -> dict[str, Any]:
    """Our `sampler` and `spacing`; nothing of what is not said.

    Raises NotFound, UnsupportedSpacing or UnsupportedField.
    """
    sampler, joined = named_sampler(body.sampler_name or body.sampler_index)
    spacing = _spacing(body.scheduler) or joined
    _check_eta(body, sampler)
    if sampler is None:
        return {} if spacing is None else {"spacing": spacing}
    return {"sampler": sampler, "spacing": spacing or _AUTOMATIC.get(sampler, Spacing.DEFAULT)}


def named_sampler(name: str | None) -> tuple[Sampler | None, Spacing | None]:
    """The sampler of this name, and the spacing if the name joins both. Raises NotFound."""
    if not name:
        return None, None
    if found := _KNOWN.get(name.casefold()):
        return found, None
    for label, spacing in SCHEDULERS.items():
        first = name.casefold().removesuffix(f" {label.casefold()}")
        if spacing and first in _KNOWN:
            return _KNOWN[first], spacing
    raise NotFound("Sampler not found; GET /sdapi/v1/samplers lists the available samplers.")


def has_idle_eta(body: AnyGeneration) -> bool:
    """Whether it asks DDIM for the noise of eta 1, which webuiapi does unasked."""
    sampler, _ = named_sampler(body.sampler_name or body.sampler_index)
    return sampler is Sampler.DDIM and body.eta == 1


def _spacing(scheduler: str | None) -> Spacing | None:
    if not scheduler:
        return None
    try:
        return _SPACINGS[scheduler.lower()]
    except KeyError:
        why = f"The schedule types are {', '.join(SCHEDULERS)}."
        raise UnsupportedSpacing(why, fields={"/scheduler": why}) from None


def _check_eta(body: AnyGeneration, sampler: Sampler | None) -> None:
    possible = {Sampler.DDIM: (0, 1)} | dict.fromkeys(_ANCESTRAL, (1,))
    if body.eta is not None and sampler in possible and body.eta not in possible[sampler]:
        why = f"{NAMES[sampler]} has an eta of {possible[sampler][0]} here."
        raise UnsupportedField(f"eta: {why}", fields={"/eta": why})
