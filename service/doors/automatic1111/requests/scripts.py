"""`alwayson_scripts`: what of them is here, and which are not."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from service.doors.automatic1111.requests.controls import ControlUnit
from service.doors.fates import MAPPED

_CONTROLNET: Final = "controlnet"
# A1111's own, which only its user interface reads: `setup_for_ui_only` of its ScriptBuiltinUI.
_OF_THE_UI: Final = frozenset({"sampler", "seed", "refiner", "extra options"})
_ADETAILER: Final = "adetailer"
_NO_MODEL: Final = (None, "", "None")
# What versions of ADetailer call the switch of one of its tabs.
_TAB_SWITCHES: Final = ("ad_enable", "ad_tab_enable", "ad_tap_enable")
_MAX_NAME: Final = 64
MAX_UNITS: Final = 16  # switched on or off


class Scripts(BaseModel):
    """The units of ControlNet; the names of other scripts that do nothing, and of those that would.

    The fields are named as pointers to them are to be read.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    ControlNet: Annotated[tuple[ControlUnit, ...], Field(max_length=MAX_UNITS)] = ()
    idle: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _sort(cls, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        units, idle, missing = list[Any](), list[str](), list[str]()
        for name, script in sent.items():
            kind = str(name).lower()
            if kind == _CONTROLNET:
                units += [unit for unit in _units(script) if not _is_nothing(unit)]
            elif kind in _OF_THE_UI or _is_off(kind, script):
                idle.append(str(name)[:_MAX_NAME])
            else:
                missing.append(str(name)[:_MAX_NAME])
        return {"ControlNet": units, "idle": idle, "missing": missing}

    @property
    def units(self) -> Iterator[tuple[int, ControlUnit]]:
        """Those that are switched on, with their numbers as they were sent."""
        return ((k, unit) for k, unit in enumerate(self.ControlNet) if unit.enabled)


def _arguments(script: Any) -> list[Any]:
    found = script.get("args") if isinstance(script, Mapping) else script
    if isinstance(found, Mapping):
        return [found]
    return found if isinstance(found, list) else []


def _units(script: Any) -> list[Any]:
    """The arguments; what is no list of them is one that is no unit, and so refused."""
    found = script.get("args", []) if isinstance(script, Mapping) else script
    return _arguments(script) if isinstance(found, Mapping | list | None) else [found]


def _is_nothing(unit: Any) -> bool:
    return unit is None or isinstance(unit, bool)


def _is_off(kind: str, script: Any) -> bool:
    """Whether a script would do nothing: the arguments of many begin with a switch."""
    arguments = _arguments(script)
    if not arguments or arguments[0] is False:
        return True
    named = [one for one in arguments if isinstance(one, Mapping)]
    if kind == _ADETAILER:
        return not any(map(_is_tab, named))
    is_named = len(named) == len(arguments) - sum(one is True for one in arguments)
    return is_named and all(one.get("enabled", True) is False for one in named)


def _is_tab(one: Mapping[Any, Any]) -> bool:
    """Whether ADetailer would look for something, as its `is_ad_enabled` has it."""
    has_model = one.get("ad_model") not in _NO_MODEL
    return has_model and all(one.get(switch) is not False for switch in _TAB_SWITCHES)


AlwaysOn = Annotated[
    Scripts,
    MAPPED,
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "object"}}),
    Field(
        repr=False,
        description="`ControlNet` is obeyed; see below. Others are refused, as where they are not"
        " installed, unless their arguments switch them off.",
    ),
]
