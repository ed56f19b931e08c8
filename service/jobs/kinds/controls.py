"""Admission of controls: their size, the limits and the price."""

from collections.abc import Mapping

from latentry.contracts import ControlRequest, InputFile, ResolvedControl
from latentry.errors import NoModel, UnsupportedField
from latentry.ledger import PreprocessorsEntry
from latentry.rules.preprocessing import (
    control_calls,
    price_control,
    refuse_impossible_control,
    sized,
)
from latentry.settings import Settings
from service.jobs.admission import Admitted, refuse_expensive


def admit_control(
    request: ControlRequest,
    entry: PreprocessorsEntry | None,
    settings: Settings,
    inputs: Mapping[str, InputFile],
) -> Admitted:
    """Fill in its size, check the limits and price the request.

    `inputs`: the picture's file; what depends on its size is checked once that is known. Raises
    NoModel, RequestTooExpensive or another InvalidRequest.
    """
    if entry is None:
        raise NoModel("No worker has registered preprocessors yet.")
    if request.preprocess not in entry.card.preprocessors:
        why = f"The preprocessors of the service are {', '.join(entry.card.preprocessors)}."
        raise UnsupportedField(why, fields={"/preprocess": why})
    given = request.model_dump(exclude_none=True, exclude={"image"})
    resolved = ResolvedControl(
        image=inputs["image"],
        **{name: given[name] for name in given if name in ResolvedControl.model_fields},
    )
    return _checked(entry, resolved, settings)


def control_with_inputs(
    admitted: Admitted, files: Mapping[str, InputFile], settings: Settings
) -> Admitted:
    """The same with the file that was made for it. Raises what `admit_control` does."""
    entry, request = admitted.entry, admitted.request.model_copy(update=dict(files))
    assert isinstance(request, ResolvedControl), "a control"
    assert isinstance(entry, PreprocessorsEntry), "of preprocessors"
    return _checked(entry, request, settings)


def _checked(entry: PreprocessorsEntry, request: ResolvedControl, settings: Settings) -> Admitted:
    request = sized(request)
    refuse_impossible_control(request)
    priced = price_control(request, entry.card)
    refuse_expensive(priced.cost, settings.max_cost_step_megapixels, ("/width", "/height"))
    steps = max(1, len(control_calls(request)))
    return Admitted(entry, request.model_copy(update={"steps": steps}), priced)
