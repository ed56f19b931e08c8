"""Admission of captions: the captioner, and the price."""

from collections.abc import Mapping

from latentry.contracts import CaptionRequest, InputFile, ResolvedCaption
from latentry.errors import NoModel
from latentry.ledger import CaptionerEntry
from latentry.rules.captioning import caption_calls, price_caption
from latentry.settings import Settings
from service.jobs.admission import Admitted, refuse_expensive


def admit_caption(
    request: CaptionRequest,
    entry: CaptionerEntry | None,
    settings: Settings,
    inputs: Mapping[str, InputFile],
) -> Admitted:
    """Check that there is a captioner, and price the request. `inputs`: the picture's file.

    Raises NoModel or RequestTooExpensive.
    """
    if entry is None:
        raise NoModel("No worker has a captioning model; LATENTRY_CAPTIONER names one.")
    resolved = ResolvedCaption(
        image=inputs["image"], max_tokens=request.max_tokens, metadata=request.metadata
    )
    resolved = resolved.model_copy(update={"steps": len(caption_calls(resolved, entry.card))})
    priced = price_caption(resolved, entry.card)
    refuse_expensive(priced.cost, settings.max_cost_step_megapixels, ("/max_tokens",))
    return Admitted(entry, resolved, priced)


def caption_with_inputs(admitted: Admitted, files: Mapping[str, InputFile]) -> Admitted:
    """The same with the file that was made for it, whose size changes nothing."""
    request = admitted.request.model_copy(update=dict(files))
    return Admitted(admitted.entry, request, admitted.price)
