"""What a model's card forbids: one rule, for the gateway that admits and the engine that draws."""

from latentry.contracts import ModelCard, ResolvedRequest
from latentry.contracts.requests import SAMPLER_STEPS
from latentry.errors import TooManySteps, UnsupportedSampler, UnsupportedSize


def refuse_unsupported(card: ModelCard, request: ResolvedRequest) -> None:
    """Raises UnsupportedSize, UnsupportedSampler or TooManySteps: the first thing that cannot be.

    `fields` of the error points at what is wrong in the request.
    """
    _check_size(card, request)
    if request.sampler not in card.samplers:
        why = f"{card.id} offers {', '.join(card.samplers)}."
        raise UnsupportedSampler(why, fields={"/sampler": why})
    _check_steps(card, request)


def _check_size(card: ModelCard, request: ResolvedRequest) -> None:
    limits = card.limits
    why = (
        f"{card.id} draws sides of {limits.min_side} to {limits.max_side} pixels"
        f" in steps of {limits.size_step}."
    )
    wrong = {
        pointer: why
        for pointer, side in (("/width", request.width), ("/height", request.height))
        if not limits.min_side <= side <= limits.max_side or side % limits.size_step
    }
    if wrong:
        raise UnsupportedSize(why, fields=wrong)


def _check_steps(card: ModelCard, request: ResolvedRequest) -> None:
    most = min(card.limits.max_steps, SAMPLER_STEPS.get(request.sampler, card.limits.max_steps))
    if request.num_inference_steps > most:
        whose = card.id if most == card.limits.max_steps else f"The sampler {request.sampler}"
        why = f"{whose} takes at most {most} steps."
        raise TooManySteps(why, fields={"/num_inference_steps": why})
