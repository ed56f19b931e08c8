"""The controls of a request: which adapters of the catalogue they are, and what fits these."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from latentry.contracts import (
    Adapter,
    AdapterKind,
    AnyRequest,
    Control,
    InputFile,
    ModelCard,
    ResizeMode,
    ResolvedRequest,
    StoredOutput,
    WantedControl,
)
from latentry.errors import (
    AdapterChanged,
    AdapterMismatch,
    InvalidRequest,
    UnknownAdapter,
    UnsupportedSize,
)
from latentry.rules.adapters.found import found_adapter
from latentry.rules.passes import passes

_KINDS: Final = (AdapterKind.CONTROLNET, AdapterKind.T2I_ADAPTER)


def found_controls(
    wanted: Sequence[WantedControl],
    adapters: Sequence[Adapter],
    card: ModelCard,
    *,
    inputs: Mapping[str, InputFile],
    resize_mode: ResizeMode,
) -> tuple[Control, ...]:
    """Each with its file as the model's workers have it, and its picture.

    inputs: the request's pictures by place. resize_mode: of those that say none. Raises
    UnknownAdapter, AdapterMismatch or AdapterChanged, with JSON pointers to all such.
    """
    found, wrong, kinds = [], dict[str, str](), dict[str, type[InvalidRequest]]()
    for number, one in enumerate(wanted):
        try:
            adapter = found_adapter(one.id, _KINDS, adapters, card, sha256=one.sha256)
        except (UnknownAdapter, AdapterMismatch, AdapterChanged) as error:
            wrong[at := f"/controls/{number}/id"], kinds[at] = error.message, type(error)
            continue
        given = one.model_dump(exclude={"id", "image", "sha256", "autov3", "kind"})
        given |= {"resize_mode": one.resize_mode or resize_mode}
        found.append(
            Control(
                id=adapter.id,
                image=inputs[f"controls/{number}/image"],
                sha256=adapter.sha256,
                autov3=adapter.autov3,
                kind=adapter.kind,
                **given,
            )
        )
    if wrong:
        first = next(iter(wrong))
        raise kinds[first](wrong[first], fields=wrong)
    return tuple(found)


def refuse_other_sizes(request: ResolvedRequest, adapters: Iterable[Adapter]) -> None:
    """Raises UnsupportedSize if a control cannot be shown a picture of a pass's size."""
    steps = {one.sha256: one.size_step for one in adapters}
    for control in request.controls:
        step = steps.get(control.sha256, 1) if control.has_effect else 1
        why = f"“{control.id}” takes pictures with sides in multiples of {step} pixels."
        wrong = {
            f"{'/hires' if number else ''}/{name}": why
            for number, one in enumerate(passes(request))
            for name, side in (("width", one.width), ("height", one.height))
            if side % step
        }
        if wrong:
            raise UnsupportedSize(why, fields=wrong)


def control_names(request: AnyRequest) -> dict[str, int]:
    """The names of the outputs that show what its controls see, and which control each is of."""
    controls = request.controls if isinstance(request, ResolvedRequest) else ()
    return {f"control-{k + 1}": k for k, control in enumerate(controls) if control.has_effect}


def unstored_controls(request: AnyRequest, outputs: Iterable[StoredOutput]) -> dict[str, int]:
    """Those of them that are not among a job's outputs."""
    listed = {output.name for output in outputs if output.index == 0}
    return {name: k for name, k in control_names(request).items() if name not in listed}
