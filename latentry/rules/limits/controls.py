"""What cannot be had together with a control."""

from latentry.contracts import AdapterKind, ControlMode, ModelCard, ResolvedRequest
from latentry.errors import UnsupportedField
from latentry.rules.passes import passes
from latentry.rules.pricing import pass_calls


def refuse_impossible_controls(card: ModelCard, request: ResolvedRequest) -> None:
    """Raises UnsupportedField."""
    if not request.controls:
        return
    if card.limits.edits or card.limits.refines:
        why = f"{card.id} takes no controls: it edits or refines pictures."
        raise UnsupportedField(why, fields={"/controls": why})
    others = {
        "refiner": request.refiner is not None,
        "cache_interval": request.cache_interval > 1,
        "clip": request.clip is not None,
    }
    if given := [name for name, is_given in others.items() if is_given]:
        why = f"controls cannot be used together with {' and '.join(given)}."
        raise UnsupportedField(why, fields={f"/{name}": why for name in ("controls", *given)})
    _refuse_modes(request)
    most = max(pass_calls(one) for one in passes(request))
    for number, control in enumerate(request.controls):
        if control.has_effect and not any(
            control.window(pass_calls(one)) for one in passes(request)
        ):
            why = f"No whole UNet call of {most} lies between start and end of this control."
            at = (f"/controls/{number}/start", f"/controls/{number}/end")
            raise UnsupportedField(why, fields=dict.fromkeys(at, why))


def _refuse_modes(request: ResolvedRequest) -> None:
    """Modes say what becomes of a ControlNet's many residuals, and of the negative prompt's."""
    for number, control in enumerate(request.controls):
        is_plain = control.mode is ControlMode.BALANCED
        if control.kind is AdapterKind.T2I_ADAPTER and not is_plain:
            why = f"“{control.id}” is a T2I-Adapter, which has no mode {control.mode}: only"
            why += f" {ControlMode.BALANCED}."
            raise UnsupportedField(why, fields={f"/controls/{number}/mode": why})
