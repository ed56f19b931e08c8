"""Admission of upscales: the upscaler, its scale, the limits and the price."""

from collections.abc import Mapping, Sequence

from latentry.contracts import InputFile, ResolvedUpscale, UpscaleRequest
from latentry.errors import NoModel, UnknownUpscaler
from latentry.ledger import UpscalerEntry
from latentry.rules.upscaling import call_sizes, price_upscale, refuse_impossible_upscale
from latentry.settings import Settings
from service.jobs.admission import Admitted, refuse_expensive


def admit_upscale(
    request: UpscaleRequest,
    entries: Sequence[UpscalerEntry],
    settings: Settings,
    inputs: Mapping[str, InputFile],
) -> Admitted:
    """Choose the upscaler, fill in its scale, check the limits and price the request.

    `inputs`: the picture's file; what depends on its size is checked once that is known. Raises
    NoModel, UnknownUpscaler, RequestTooExpensive or another InvalidRequest.
    """
    entry = choose_upscaler(request.upscaler, entries)
    given = request.model_dump(exclude_none=True, exclude={"image", "upscaler", "scale"})
    resolved = ResolvedUpscale(
        image=inputs["image"],
        upscaler=entry.card.id,
        scale=request.scale or entry.card.default_scale,
        **{name: given[name] for name in given if name in ResolvedUpscale.model_fields},
    )
    return _checked(entry, resolved, settings)


def upscale_with_inputs(
    admitted: Admitted, files: Mapping[str, InputFile], settings: Settings
) -> Admitted:
    """The same with the file that was made for it. Raises what `admit_upscale` does."""
    entry, request = admitted.entry, admitted.request.model_copy(update=dict(files))
    assert isinstance(request, ResolvedUpscale), "an upscale"
    assert isinstance(entry, UpscalerEntry), "of an upscaler"
    return _checked(entry, request, settings)


def choose_upscaler(id: str, entries: Sequence[UpscalerEntry]) -> UpscalerEntry:
    """The upscaler of this id, or the only one whose id differs in capitals alone.

    Raises NoModel while no worker has registered any, or UnknownUpscaler.
    """
    if not entries:
        raise NoModel("No worker has registered an upscaler yet.")
    exact = [entry for entry in entries if entry.card.id == id]
    alike = [entry for entry in entries if entry.card.id.casefold() == id.casefold()]
    found = exact or alike
    if len(found) != 1:
        raise UnknownUpscaler
    return found[0]


def _checked(entry: UpscalerEntry, request: ResolvedUpscale, settings: Settings) -> Admitted:
    card = entry.card
    refuse_impossible_upscale(request, card, max_pixels=settings.max_upscale_pixels)
    priced = price_upscale(request, card)
    at = ("/image", "/scale")
    refuse_expensive(priced.cost, settings.max_cost_step_megapixels, at)
    steps = max(1, len(call_sizes(request, card)))
    return Admitted(entry, request.model_copy(update={"steps": steps}), priced)
