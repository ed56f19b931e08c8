"""Hires fix: AUTOMATIC1111's fields as our second pass."""

from math import ceil
from typing import Any, Final

from latentry.contracts import ModelCard
from latentry.contracts.fields.hires import Upscaler
from latentry.errors import UnsupportedField
from service.doors.automatic1111.requests.fields import LEAST_STRENGTH
from service.doors.automatic1111.requests.generations import Txt2Img
from service.doors.automatic1111.translation.refusals import refuse
from service.doors.sizes import Size

UPSCALERS: Final = {"Latent": Upscaler.LATENT, "Lanczos": Upscaler.LANCZOS}
STRENGTH: Final = 0.75
# Fields of the second pass that must be those of the first, and what says that they are.
_SAME: Final = {
    "hr_checkpoint_name": ("", "Use same checkpoint"),
    "hr_sampler_name": ("", "Use same sampler"),
    "hr_scheduler": ("", "Use same scheduler"),
    "hr_prompt": ("",),
    "hr_negative_prompt": ("",),
}
_FIRST: Final = {
    "hr_sampler_name": ("sampler_name", "sampler_index"),
    "hr_scheduler": ("scheduler",),
    "hr_prompt": ("prompt",),
    "hr_negative_prompt": ("negative_prompt",),
}


def hires(body: Txt2Img, first: Size, card: ModelCard) -> dict[str, Any] | None:
    """The second pass, if there is one. `first`: the first pass's size. Raises UnsupportedField."""
    if not body.enable_hr:
        return None
    _refuse_differences(body)
    strength = STRENGTH if body.denoising_strength is None else body.denoising_strength
    if strength < LEAST_STRENGTH:  # what steps are divided by
        refuse("denoising_strength", "At 0 the second pass would change nothing.")
    # There, so many steps are made; here, `steps` are what `strength` is a fraction of.
    made = body.hr_second_pass_steps or body.steps or card.defaults.num_inference_steps
    found = {"upscaler": _upscaler(body), "strength": strength, **_size(body, first, card)}
    return found | {"steps": ceil(round(made / strength, 6))}


def _upscaler(body: Txt2Img) -> Upscaler:
    try:
        return UPSCALERS[body.hr_upscaler or "Latent"]
    except KeyError:
        refuse("hr_upscaler", f"It is one of {', '.join(UPSCALERS)}.")


def _size(body: Txt2Img, first: Size, card: ModelCard) -> dict[str, Any]:
    wanted = body.hr_resize_x, body.hr_resize_y
    if not any(wanted):
        if body.hr_scale <= 1:
            refuse("hr_scale", "It must be greater than 1.")
        return {"scale": body.hr_scale}
    step = card.limits.size_step
    ratio = first[0] / first[1]
    width, height = wanted[0] or wanted[1] * ratio, wanted[1] or wanted[0] / ratio
    if abs(width / ratio - height) > step:
        why = "The result must have the first pass's proportions."
        fields = {"/hr_resize_x": why, "/hr_resize_y": why}
        raise UnsupportedField(f"hr_resize_x, hr_resize_y: {why}", fields=fields)
    return {"width": round(width / step) * step, "height": round(height / step) * step}


def _refuse_differences(body: Txt2Img) -> None:
    for name in ("firstphase_width", "firstphase_height"):
        if getattr(body, name):
            refuse(name, "width and height are the first pass's.")
    for name, same in _SAME.items():
        value = getattr(body, name)
        firsts = [getattr(body, of) for of in _FIRST.get(name, ())]
        if value is not None and value not in same and value not in firsts:
            refuse(name, "Both passes have the same.")
