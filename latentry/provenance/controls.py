"""A request's ControlNets as AUTOMATIC1111's extension writes them into the parameters."""

import json
from typing import Final

from latentry.contracts import Control, ControlMode, Preprocess, ResizeMode, ResolvedRequest

_MODULES: Final = {
    Preprocess.NONE: "none",
    Preprocess.CANNY: "canny",
    Preprocess.INVERT: "invert (from white bg & black line)",
}
_RESIZE_MODES: Final = {
    ResizeMode.STRETCH: "Just Resize",
    ResizeMode.CROP: "Crop and Resize",
    ResizeMode.PAD: "Resize and Fill",
}
_MODES: Final = {
    ControlMode.BALANCED: "Balanced",
    ControlMode.PROMPT: "My prompt is more important",
    ControlMode.CONTROL: "ControlNet is more important",
    ControlMode.GUESS: "Guess mode",
}


def control_settings(request: ResolvedRequest) -> dict[str, object]:
    """One setting for each, and the pixels that it sees.

    As `ControlNetUnit.serialize` of sd-webui-controlnet's internal_controlnet/args.py.
    """
    found: dict[str, object] = {}
    for number, control in enumerate(request.controls):
        found[f"ControlNet {number}"] = json.dumps(_unit(control), ensure_ascii=False)
        found[f"Control image {number}"] = control.image.pixel_sha256
    return found


def _unit(control: Control) -> str:
    low, high = control.thresholds
    is_canny = control.preprocess is Preprocess.CANNY
    said = {
        "Module": _MODULES[control.preprocess],
        "Model": f"{control.id} [{control.sha256[:8]}]",
        "Weight": control.weight,
        "Resize Mode": _RESIZE_MODES[control.resize_mode],
        **({"Threshold A": low, "Threshold B": high} if is_canny else {}),
        "Guidance Start": control.start,
        "Guidance End": control.end,
        "Pixel Perfect": True,
        "Control Mode": _MODES[control.mode],
    }
    return ", ".join(f"{name}: {value}" for name, value in said.items())
