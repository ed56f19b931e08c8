"""The controls of a request: ControlNets of the catalogue, and what cannot be had with them."""

from collections.abc import Iterable, Mapping, Sequence

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
)
from latentry.rules.adapters.found import found_adapter


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
            adapter = found_adapter(
                one.id, AdapterKind.CONTROLNET, adapters, card, sha256=one.sha256
            )
        except (UnknownAdapter, AdapterMismatch, AdapterChanged) as error:
            wrong[at := f"/controls/{number}/id"], kinds[at] = error.message, type(error)
            continue
        given = one.model_dump(exclude={"id", "image", "sha256", "autov3"})
        given |= {"resize_mode": one.resize_mode or resize_mode}
        found.append(
            Control(
                id=adapter.id,
                image=inputs[f"controls/{number}/image"],
                sha256=adapter.sha256,
                autov3=adapter.autov3,
                **given,
            )
        )
    if wrong:
        first = next(iter(wrong))
        raise kinds[first](wrong[first], fields=wrong)
    return tuple(found)


def control_names(request: AnyRequest) -> dict[str, int]:
    """The names of the outputs that show what its ControlNets see, and which control each is of."""
    controls = request.controls if isinstance(request, ResolvedRequest) else ()
    return {f"control-{k + 1}": k for k, control in enumerate(controls) if control.has_effect}


def unstored_controls(request: AnyRequest, outputs: Iterable[StoredOutput]) -> dict[str, int]:
    """Those of them that are not among a job's outputs."""
    listed = {output.name for output in outputs if output.index == 0}
    return {name: k for name, k in control_names(request).items() if name not in listed}
