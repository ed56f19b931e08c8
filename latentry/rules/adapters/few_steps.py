"""How LoRAs that were distilled for few steps are to be used, by the names that they are known by.

No tensor of such a file says so, and few have metadata. What is suggested is what their makers do:
LCM-LoRA (arXiv:2311.05556), TCD (arXiv:2402.19159), Hyper-SD (arXiv:2404.13686), SDXL-Lightning
(arXiv:2402.13929), SDXL-Turbo (arXiv:2311.17042), DMD2 (arXiv:2405.14867), in their repositories'
examples for diffusers.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from latentry.contracts import Sampler, Spacing, Suggestion

_LCM: Final = (Sampler.LCM, Spacing.DEFAULT)
_TCD: Final = (Sampler.TCD, Spacing.DEFAULT)
_DDIM: Final = (Sampler.DDIM, Spacing.SGM_UNIFORM)  # diffusers' `trailing`
_EULER: Final = (Sampler.EULER, Spacing.SGM_UNIFORM)
_EULER_A: Final = (Sampler.EULER_A, Spacing.SGM_UNIFORM)
_WITHOUT: Final = 1.0  # guidance is off
_KEPT: Final = 5.0  # Hyper-SD's files with `CFG` in their names keep it
_SD: Final = r"sd(?:[ _-]?xl|15|v?1)?"
# What the name says, sampler and spacing, steps if the name says none, guidance.
_KNOWN: Final[Mapping[str, tuple[tuple[Sampler, Spacing], int, float]]] = {
    rf"hyper[ _-]?{_SD}(?![a-z]).*cfg": (_DDIM, 8, _KEPT),
    rf"hyper[ _-]?{_SD}[ _-]1[ _-]?step": (_TCD, 1, _WITHOUT),
    rf"hyper[ _-]?{_SD}": (_DDIM, 4, _WITHOUT),
    rf"{_SD}[ _-]lightning": (_EULER, 4, _WITHOUT),
    rf"{_SD}[ _-]turbo": (_EULER_A, 1, _WITHOUT),
    "dmd2": (_LCM, 4, _WITHOUT),
    "tcd": (_TCD, 4, _WITHOUT),
    "lcm": (_LCM, 4, _WITHOUT),
}
_STEPS: Final = re.compile(r"(?<!\d)(\d{1,2})[ _-]?steps?")


def suggestion(names: Iterable[str | None]) -> Suggestion | None:
    """What to use a LoRA with that is called so: by its id, its title, the first that is known."""
    for name in names:
        if name and (found := _of_name(name.casefold())):
            return found
    return None


def _of_name(name: str) -> Suggestion | None:
    said = _STEPS.search(name)
    for known, ((sampler, spacing), steps, guidance) in _KNOWN.items():
        if re.search(rf"(?<![a-z]){known}(?![a-z])", name):
            return Suggestion(
                sampler=sampler,
                spacing=spacing,
                num_inference_steps=int(said[1]) or steps if said else steps,
                guidance_scale=guidance,
            )
    return None
