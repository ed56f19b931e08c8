"""What an order's calls need, and its passes, which make them."""

from collections.abc import Sequence
from typing import Final

from latentry.contracts import Determinism, ResolvedRequest
from latentry.errors import InvalidPrompt
from latentry.rules.limits import refuse_unsupported
from latentry.rules.passes import passes
from latentry.rules.prompt_rows import prompt_rows
from worker.batching import BatchKey
from worker.engine.adapters.rows import text_terms
from worker.engine.conditioning import ConditioningByCall
from worker.engine.diffusion.passes import Pass
from worker.engine.diffusion.predicted_x0 import prediction_intervals
from worker.engine.loop.backend import Plan
from worker.engine.loop.messages import Order
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.samplers import table_of

# The longest plain prompts are two texts of eight chunks; all others wait while these are encoded.
MAX_ENCODED_CHUNKS: Final = 48


def plan(order: Order, model: LoadedModel) -> Plan:
    """The batch key and rows of its first pass's calls. Raises InvalidRequest."""
    pictures = _pictures(order)
    for request in pictures:
        refuse_unsupported(model.card, request)
    _refuse_many_texts(pictures, max(map(model.conditioner.chunks, pictures)))
    return Plan(_key(_passes(order)[0], model), rows=len(prompt_rows(order.request)))


def planned_passes(order: Order, model: LoadedModel) -> tuple[Pass, ...]:
    """All its passes, with their prompts encoded for their own calls and sizes."""
    hires, has_previews = order.request.hires, bool(prediction_intervals(order.request))
    return tuple(
        Pass.of(
            table_of(pictures[0], model.schedule),
            model,
            key=(key := _key(pictures, model)),
            conditioning=_conditioning(order, pictures, key.chunks, model),
            guidance_scale=pictures[0].guidance_scale,
            has_previews=has_previews,
            upscaler=hires.upscaler if number and hires else None,
        )
        for number, pictures in enumerate(_passes(order))
    )


def _pictures(order: Order) -> tuple[ResolvedRequest, ...]:
    """Its request; that of the picture too to which it is on its way, if it is."""
    return (order.request, *((order.towards.request,) if order.towards else ()))


def _passes(order: Order) -> list[tuple[ResolvedRequest, ...]]:
    """Each pass of the order's pictures."""
    return list(zip(*map(passes, _pictures(order)), strict=True))


def _conditioning(
    order: Order, pictures: Sequence[ResolvedRequest], chunks: int, model: LoadedModel
) -> ConditioningByCall:
    terms = text_terms(order)
    own, *others = (model.conditioner.condition(one, terms, chunks=chunks) for one in pictures)
    for other in others:
        assert order.towards is not None, "it has two pictures"
        own = own.towards(other, order.towards.weight)
    return own


def _key(pictures: Sequence[ResolvedRequest], model: LoadedModel) -> BatchKey:
    one = pictures[0]
    _, height, width = model.latent_shape(one.width, one.height, one.frames)
    # Clips are large: a strict one fills its calls by itself.
    bucket = model.strict_rows if one.frames == 1 else len(prompt_rows(one))
    return BatchKey(
        one.model,
        height,
        width,
        max(map(model.conditioner.chunks, pictures)),
        bucket if one.determinism is Determinism.STRICT else 0,
        interval=one.cache_interval,
        seamless=one.seamless,
        frames=one.frames,
    )


def _refuse_many_texts(pictures: Sequence[ResolvedRequest], chunks: int) -> None:
    rows = [row for request in pictures for row in prompt_rows(request)]
    texts = {text for row in rows for text in row.distinct}
    if len(texts) * chunks > MAX_ENCODED_CHUNKS:
        raise InvalidPrompt(
            f"Its {len(texts)} texts take {chunks} chunks each; together at most "
            f"{MAX_ENCODED_CHUNKS} are encoded: use fewer schedules, or shorter prompts."
        )
