"""What a request with a second model may not ask."""

from typing import Final

from latentry.contracts import Determinism, ModelCard, ResolvedRequest, Sampler
from latentry.errors import InvalidRequest, UnsupportedField, UnsupportedSampler
from latentry.rules.passes import passes
from latentry.rules.pricing import skipped_steps
from latentry.rules.prompt_rows import prompt_rows

# A part that is kept would have to be seen by both models; hires fix says otherwise where it ends.
_WITHOUT: Final = ("mask", "extend", "hires")
# They are for one model.
_ADAPTERS: Final = ("loras", "image_prompts")
_SWITCH_AT: Final = ResolvedRequest.model_fields["refiner_switch_at"].default


def check_refiner(card: ModelCard, request: ResolvedRequest) -> None:
    """What its own model's card can tell. Raises InvalidRequest or a subclass."""
    if request.refiner is None:
        if request.refiner_switch_at != _SWITCH_AT:
            why = "refiner_switch_at would change nothing: there is no refiner."
            raise UnsupportedField(why, fields={"/refiner_switch_at": why})
        return
    given = [name for name in _WITHOUT if getattr(request, name) is not None]
    given += ["denoise_end"] * (request.denoise_end < 1)
    given += [name for name in _ADAPTERS if getattr(request, name)]
    if given:
        why = f"A refiner makes the last steps of a whole image, without {' and '.join(given)}."
        raise UnsupportedField(why, fields=dict.fromkeys(("/refiner", f"/{given[0]}"), why))
    if card.limits.edits or card.limits.refines:
        why = f"{card.id} leaves nothing to a refiner."
        raise UnsupportedField(why, fields={"/refiner": why})
    if request.sampler is Sampler.PNDM:  # what it skips it counts in calls, and begins too early
        why = "pndm cannot go on where another model stopped; take another sampler."
        raise UnsupportedSampler(why, fields={"/sampler": why})
    _check_both_step(request)


def _check_both_step(request: ResolvedRequest) -> None:
    """That both models make a step."""
    for one in passes(request):
        if skipped_steps(one) >= one.last_step:
            why = f"{one.model} would make no step: of {request.num_inference_steps} steps, "
            why += f"{one.last_step} are before refiner_switch_at."
            at = ("/refiner_switch_at", "/num_inference_steps")
            raise InvalidRequest(why, fields=dict.fromkeys(at, why))


def refuse_other_refiner(card: ModelCard, refiner: ModelCard, request: ResolvedRequest) -> None:
    """What the refiner's card can tell. Raises UnsupportedField."""
    limits = refiner.limits
    fits = {
        "edits pictures by instruction": not limits.edits,
        f"is of another family than {card.id}": (
            limits.size_conditioning == card.limits.size_conditioning
        ),
        f"does not support the sampler {request.sampler}": request.sampler in refiner.samplers,
        f"does not support sides above {limits.max_side} or below {limits.min_side} pixels": all(
            limits.min_side <= side <= limits.max_side for side in (request.width, request.height)
        ),
        f"supports at most {limits.max_steps} steps": (
            request.num_inference_steps <= limits.max_steps
        ),
        f"can skip at most {limits.max_clip_skip} layers of its text encoder": (
            (request.clip_skip or 0) <= limits.max_clip_skip
        ),
        f"makes calls of at most {limits.strict_rows} rows in strict mode": (
            request.determinism is not Determinism.STRICT
            or len(prompt_rows(request)) <= limits.strict_rows
        ),
        "does not support previews": limits.previews or not request.preview_interval,
    }
    for what, is_so in fits.items():
        if not is_so:
            why = f"{refiner.id} {what}."
            raise UnsupportedField(why, fields={"/refiner": why})
