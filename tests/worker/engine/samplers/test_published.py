"""Every scheduler of diffusers, and every entry of its config, is obeyed, warned of or refused."""

import inspect
import re
from pathlib import Path
from typing import Any

import diffusers.schedulers
import pytest

from latentry.contracts import Sampler, Spacing
from latentry.contracts.samplers import SAMPLER_ALIASES, SAMPLER_SPACINGS, SAMPLER_STEPS
from latentry.errors import ConfigurationError
from latentry.rules.pricing import unet_calls
from tests.worker.engine import tiny
from worker.engine.samplers.published import EXACT, NEAREST, published_sampler, unknown_options
from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.scheduler_config import (
    KNOWN_OPTIONS,
    OBEYED,
    REQUIRED,
    WITHOUT_EFFECT,
    as_its_pipeline_reads,
)

DOCS = (Path(__file__).parents[4] / "docs" / "samplers.md").read_text()
CLASSES = [name for name in dir(diffusers.schedulers) if name.endswith("Scheduler")]


def rows(heading: str) -> list[list[str]]:
    section = re.search(rf"^#+ {heading}$(.*?)(?=^## |\Z)", DOCS, re.DOTALL | re.MULTILINE)
    assert section
    lines = [line for line in section[1].splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def options_of(name: str) -> dict[str, inspect.Parameter]:
    """Of the class's config; none of DPMSolverSDE's without torchsde."""
    parameters = inspect.signature(getattr(diffusers.schedulers, name).__init__).parameters
    return {key: one for key, one in parameters.items() if key not in ("self", "args", "kwargs")}


@pytest.mark.parametrize("name", CLASSES)
def test_a_scheduler_is_exact_or_nearest_with_a_warning_or_refused_as_documented(name: str) -> None:
    said = {one: verdict for names, verdict in rows("What a folder's scheduler becomes")
            for one in names.split(", ")}.get(name, "refused")  # fmt: skip
    config = {"_class_name": name, "skip_prk_steps": True}
    if said.startswith("refused"):
        with pytest.raises(ConfigurationError, match=f"has {name} as its scheduler; supported"):
            published_sampler(config)
        return
    if name == "DPMSolverSinglestepScheduler":
        config["algorithm_type"] = "sde-dpmsolver++"
    found = published_sampler(config)
    verdict = "nearest" if found.differences else "exact"
    assert said.startswith(f"{verdict}: {found.sampler}")
    assert (name in EXACT, name in NEAREST) == (verdict == "exact", verdict == "nearest")


def test_the_classes_that_stable_diffusion_may_have_are_all_decided() -> None:
    compatible = {one.name for one in diffusers.schedulers.KarrasDiffusionSchedulers}
    assert compatible - {*EXACT, *NEAREST} == {"EDMEulerScheduler"}


@pytest.mark.parametrize(
    ("config", "sampler", "sentence"),
    [
        ({"_class_name": "DPMSolverMultistepScheduler"}, "dpmpp_2m", None),
        (
            {"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++"},
            "dpmpp_2m_sde", None,
        ),
        (
            {"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver"},
            "dpmpp_2m", "algorithm_type='dpmsolver'",
        ),
        (
            {"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver"},
            "dpmpp_2m_sde", "algorithm_type='sde-dpmsolver'",
        ),
        (
            {"_class_name": "DPMSolverSinglestepScheduler"},
            "dpmpp_2m", "DPMSolverSinglestepScheduler with algorithm_type='dpmsolver\\+\\+'",
        ),
        (
            {"_class_name": "PNDMScheduler", "skip_prk_steps": False},
            "pndm", "PNDMScheduler without skip_prk_steps",
        ),
        ({"_class_name": "PNDMScheduler"}, "pndm", "PNDMScheduler without skip_prk_steps"),
        (
            {"_class_name": "DEISMultistepScheduler", "lower_order_final": False},
            "deis", "without lower_order_final",
        ),
        ({"_class_name": "DPMSolverSDEScheduler"}, "dpmpp_sde", "the DPMSolverSDEScheduler"),
    ],
)  # fmt: skip
def test_a_difference_that_an_entry_makes_is_said(
    config: dict[str, Any], sampler: str, sentence: str | None
) -> None:
    found = published_sampler(config)
    assert found.sampler == sampler
    assert len(found.differences) == (sentence is not None)
    for difference in found.differences:
        assert re.search(sentence or "", difference)
        assert difference.endswith(f"its default sampler is the nearest one, {sampler}.")


@pytest.mark.parametrize("name", [*EXACT, *NEAREST])
def test_every_entry_that_a_supported_class_has_is_known(name: str) -> None:
    assert options_of(name).keys() <= KNOWN_OPTIONS
    assert unknown_options(dict.fromkeys(options_of(name))) == ()


def test_each_entry_is_documented_as_what_it_is() -> None:
    obeyed, pipelines, required, inert, _ = (
        set(re.findall(r"`(\w+)`", names)) for names, _ in rows("What of its config is obeyed")
    )
    assert obeyed == OBEYED
    assert inert == WITHOUT_EFFECT
    assert pipelines | required == REQUIRED


def test_an_unknown_entry_is_named() -> None:
    (sentence,) = unknown_options(tiny.EPSILON | {"sigma_shift": 3, "_diffusers_version": "1"})
    assert sentence == "The model's scheduler has sigma_shift=3, which is unknown and was ignored."


@pytest.mark.parametrize("name", [*EXACT, *NEAREST])
def test_what_a_config_leaves_out_is_as_the_class_has_it(name: str) -> None:
    if not (options := options_of(name)):
        pytest.skip("the class needs torchsde")
    names = ("beta_start", "beta_end", "beta_schedule")
    full = {option: options[option].default for option in names}
    bare = NoiseSchedule.from_config({"_class_name": name})
    assert (bare.alphas_cumprod == NoiseSchedule.from_config(full).alphas_cumprod).all()


def test_old_configs_of_sd_are_read_as_its_pipeline_corrects_them() -> None:
    old = {"_class_name": "DDIMScheduler", "steps_offset": 0, "clip_sample": True}
    assert NoiseSchedule.from_config(as_its_pipeline_reads(old, is_xl=False)).steps_offset == 1
    with pytest.raises(ConfigurationError, match="clip_sample=True"):
        NoiseSchedule.from_config(as_its_pipeline_reads(old, is_xl=True))


def test_every_sampler_is_documented() -> None:
    documented = {cells[0].strip("`"): cells[1:] for cells in rows("Samplers")}
    assert documented.keys() == set(Sampler)
    for sampler in Sampler:
        theirs, name, calls, spacings = documented[sampler]
        assert SAMPLER_ALIASES[name] is sampler
        if sampler is not Sampler.DPMPP_2M_SDE:
            assert SAMPLER_ALIASES[theirs.split(",")[0]] is sampler
        for steps in (1, 7):
            formula = {"2": 2 * steps - 1, "steps + 1": steps + (steps > 1)}.get(
                calls if calls.startswith("steps +") else calls[0], steps
            )
            assert unet_calls(sampler, steps) == formula
        assert ("at most 50" in calls) == (SAMPLER_STEPS.get(sampler) == 50)
        has = set(SAMPLER_SPACINGS[sampler])
        assert {
            "all": has == set(Spacing),
            "all but sgm_uniform": has == set(Spacing) - {Spacing.SGM_UNIFORM},
        }.get(spacings, has == set(spacings.split(", ")))
