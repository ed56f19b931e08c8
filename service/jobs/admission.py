"""May this well-formed request enter, and as what? Fills its blanks from the model's card."""

import secrets
from collections.abc import Sequence
from typing import Final

from latentry.contracts import Cost, GenerationRequest, ModelCard, ResolvedRequest, Spacing
from latentry.contracts.fields.bounds import MAX_SEED
from latentry.contracts.samplers import SAMPLER_SPACINGS
from latentry.errors import InvalidRequest, NoModel, RequestTooExpensive, UnknownModel
from latentry.rules.limits import refuse_unsupported
from service.jobs.catalogue import Entry

DRAWN_SEEDS: Final = 2**32


def choose(asked: str, entries: Sequence[Entry]) -> Entry:
    """The model that was asked for; if none was, the first that is live, or else the first.

    Raises NoModel or UnknownModel.
    """
    if not entries:
        raise NoModel
    if not asked:  # the catalogue never forgets: its first may have been retired long ago
        return next((entry for entry in entries if entry.workers), entries[0])
    for entry in entries:
        if entry.card.id == asked:
            return entry
    raise UnknownModel


def resolve(request: GenerationRequest, card: ModelCard) -> ResolvedRequest:
    """The request with every blank filled, the seed included: a job run twice draws the same.

    Raises InvalidRequest, or the one of its kinds that says what the model cannot do.
    """
    blanks = card.defaults.model_dump() | {"seed": secrets.randbelow(DRAWN_SEEDS)}
    said = request.model_dump(exclude_none=True)
    if blanks["spacing"] not in SAMPLER_SPACINGS[request.sampler or card.defaults.sampler]:
        blanks["spacing"] = Spacing.DEFAULT
    resolved = ResolvedRequest.model_validate(blanks | said | {"model": card.id})
    refuse_unsupported(card, resolved)
    if resolved.seed + resolved.n - 1 > MAX_SEED:
        why = f"The last image's seed, seed + n - 1, must be at most {MAX_SEED}."
        raise InvalidRequest(why, fields={"/seed": why})
    return resolved


def refuse_expensive(cost: Cost, most: float) -> None:
    """Raises RequestTooExpensive for more work, in step-megapixels, than one request may be."""
    if cost.step_megapixels > most:
        why = (
            f"The request costs {cost.step_megapixels:,.1f} step-megapixels, and {most:,.1f} are"
            " the most; ask for fewer images, fewer steps or a smaller size."
        )
        at = ("/n", "/num_inference_steps", "/width", "/height")
        raise RequestTooExpensive(why, fields=dict.fromkeys(at, why))
