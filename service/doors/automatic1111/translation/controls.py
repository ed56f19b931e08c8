"""Units of ControlNet as our controls and image prompts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from latentry.contracts import Preprocess
from service.doors.automatic1111.requests.controls import ControlUnit
from service.doors.automatic1111.requests.scripts import Scripts
from service.doors.automatic1111.translation.names import bare, is_none
from service.doors.automatic1111.translation.refusals import is_asked, refuse, refused_as
from service.doors.fates import Fate, with_fate

# Ours by the extension's names, of which the first is listed.
MODULES: Final[Mapping[str, Preprocess]] = {
    "none": Preprocess.NONE,
    "canny": Preprocess.CANNY,
    "invert": Preprocess.INVERT,
    "invert (from white bg & black line)": Preprocess.INVERT,
}
IP_ADAPTER: Final = "ip-adapter"
THRESHOLDS: Final = (100, 200)
_PATH: Final = "alwayson_scripts.ControlNet.{number}.{name}"
_WHOLE: Final = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Controls:
    """Our fields; which field of a unit is meant by one of ours; whether maps are wanted."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    maps: tuple[bool, ...] = ()


def controls(scripts: Scripts, picture: str | None) -> Controls:
    """Of all units that are switched on. `picture`: of img2img, for units without one.

    Raises UnsupportedField.
    """
    found: dict[str, list[dict[str, Any]]] = {"controls": [], "image_prompts": []}
    names, maps = dict[str, str](), list[bool]()
    for number, unit in scripts.units:
        _refuse_impossible(number, unit)
        of = unit.image or picture
        if of is None:
            _refuse(number, "image", "A unit needs a picture.")
        is_prompt = unit.module.lower().startswith(IP_ADAPTER)
        kind = "image_prompts" if is_prompt else "controls"
        place = f"{kind}/{len(found[kind])}"
        for ours, name in _NAMES.items():
            names[f"{place}/{ours}"] = _path(number, name)
        found[kind].append((_prompt if is_prompt else _control)(number, unit, of))
        if not is_prompt:
            maps.append(unit.save_detected_map)
    given = {name: units for name, units in found.items() if units}
    return Controls(given, names, tuple(maps))


# Our names of a unit's fields, and its own.
_NAMES: Final = {
    "id": "model",
    "image": "image",
    "weight": "weight",
    "start": "guidance_start",
    "end": "guidance_end",
    "thresholds": "threshold_a",
}


def _control(number: int, unit: ControlUnit, picture: str) -> dict[str, Any]:
    module = MODULES.get(unit.module.lower())
    if module is None:
        why = f"The preprocessors are {', '.join(MODULES)}; send another one's map, with none."
        _refuse(number, "module", why)
    edges = {"thresholds": thresholds(unit.threshold_a, unit.threshold_b)}
    return {
        "id": bare(unit.model),
        "image": picture,
        "weight": unit.weight,
        "start": unit.guidance_start,
        "end": unit.guidance_end,
        "preprocess": module,
        "mode": unit.control_mode,
        "resize_mode": unit.resize_mode,
    } | (edges if module is Preprocess.CANNY else {})


def _prompt(number: int, unit: ControlUnit, picture: str) -> dict[str, Any]:
    if (unit.guidance_start, unit.guidance_end) != _WHOLE:
        _refuse(number, "guidance_end", "An IP-Adapter is asked at every step: 0 to 1.")
    return {"id": bare(unit.model), "image": picture, "weight": unit.weight}


def thresholds(*given: float) -> tuple[int, int]:
    """Both of `canny`, the lower one first; one below 1 is not given."""
    pairs = zip(given, THRESHOLDS, strict=True)
    low, high = (round(value) if value >= 1 else default for value, default in pairs)
    return min(low, high), max(low, high)


def _refuse_impossible(number: int, unit: ControlUnit) -> None:
    for name, here in with_fate(ControlUnit, Fate.REFUSED).items():
        if is_asked(getattr(unit, name), here):
            _refuse(number, name, refused_as(ControlUnit.model_fields[name].description))
    if is_none(unit.model):
        _refuse(number, "model", "Name a model of /controlnet/model_list.")


def _path(number: int, name: str) -> str:
    return f"alwayson_scripts/ControlNet/{number}/{name}"


def _refuse(number: int, name: str, why: str) -> NoReturn:
    refuse(_PATH.format(number=number, name=name), why)
