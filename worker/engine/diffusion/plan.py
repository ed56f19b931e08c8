"""What an order's calls need, and its passes, which make them."""

from typing import Final

from latentry.contracts import Determinism, ResolvedRequest
from latentry.errors import InvalidPrompt
from latentry.rules.limits import refuse_unsupported
from latentry.rules.passes import passes
from latentry.rules.prompt_rows import prompt_rows
from worker.batching import BatchKey
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
    refuse_unsupported(model.card, order.request)
    _refuse_many_texts(order.request, model.conditioner.chunks(order.request))
    return Plan(_key(passes(order.request)[0], model), rows=len(prompt_rows(order.request)))


def planned_passes(request: ResolvedRequest, model: LoadedModel) -> tuple[Pass, ...]:
    """All passes of a request, with their prompts encoded for their own calls and sizes."""
    has_previews = bool(prediction_intervals(request))
    return tuple(
        Pass.of(
            table_of(one, model.schedule),
            model,
            key=_key(one, model),
            conditioning=model.conditioner.condition(one),
            guidance_scale=one.guidance_scale,
            has_previews=has_previews,
            upscaler=request.hires.upscaler if number and request.hires else None,
        )
        for number, one in enumerate(passes(request))
    )


def _key(one: ResolvedRequest, model: LoadedModel) -> BatchKey:
    _, height, width = model.latent_shape(one.width, one.height, one.frames)
    # Clips are large: a strict one fills its calls by itself.
    bucket = model.strict_rows if one.frames == 1 else len(prompt_rows(one))
    return BatchKey(
        one.model,
        height,
        width,
        model.conditioner.chunks(one),
        bucket if one.determinism is Determinism.STRICT else 0,
        interval=one.cache_interval,
        seamless=one.seamless,
        frames=one.frames,
    )


def _refuse_many_texts(request: ResolvedRequest, chunks: int) -> None:
    texts = {text for row in prompt_rows(request) for text in row.distinct}
    if len(texts) * chunks > MAX_ENCODED_CHUNKS:
        raise InvalidPrompt(
            f"Its {len(texts)} texts take {chunks} chunks each; together at most "
            f"{MAX_ENCODED_CHUNKS} are encoded: use fewer schedules, or shorter prompts."
        )
