"""What an order's calls need, and its passes, which make them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from latentry.contracts import Determinism, ResolvedRequest
from latentry.errors import InvalidPrompt, UnsupportedField
from latentry.rules.limits import refuse_other_refiner, refuse_unsupported
from latentry.rules.passes import passes
from latentry.rules.prompt_rows import prompt_rows
from worker.batching import BatchKey
from worker.engine.adapters.control.rows import active_controls
from worker.engine.adapters.embedding.prompts import text_vectors
from worker.engine.adapters.lora.rows import text_terms
from worker.engine.conditioning import ConditioningByCall, TextAdapters
from worker.engine.diffusion.passes import Pass
from worker.engine.loop.backend import Plan
from worker.engine.loop.messages import Order
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.samplers import table_of

# The longest plain prompts are two texts of eight chunks; all others wait while these are encoded.
MAX_ENCODED_CHUNKS: Final = 48


def plan(order: Order, model: LoadedModel, refiner: LoadedModel | None = None) -> Plan:
    """The batch key and rows of its first pass's calls. Raises InvalidRequest."""
    pictures = _pictures(order)
    for request in pictures:
        refuse_unsupported(model.card, request)
        if refiner is not None:
            _refuse_other_refiner(request, model, refiner)
    _refuse_many_texts(pictures, max(map(model.conditioner.chunks, pictures)))
    return Plan(_key(_passes(order)[0], model), rows=len(prompt_rows(order.request)))


def planned_passes(
    order: Order, model: LoadedModel, refiner: LoadedModel | None = None
) -> tuple[Pass, ...]:
    """All its passes, with their prompts encoded for their own calls and sizes.

    A refiner goes on with the calls of the first pass; hires fix begins anew. Its levels are those
    of the model before it, whatever its own schedule: x passes over unchanged.
    """
    request, each = order.request, _passes(order)
    stop = request.guidance_stop
    of_pass = [model, *[refiner or model] * (len(each) - 1)]
    tables = [
        table_of(pictures[0], replace(model.schedule, prediction=own.schedule.prediction))
        for pictures, own in zip(each, of_pass, strict=True)
    ]
    calls = [len(table.inputs) for table in tables]
    found = []
    for number, (pictures, own, table) in enumerate(zip(each, of_pass, tables, strict=True)):
        before = sum(calls[:number]) if refiner else 0
        key = _key(pictures, own)
        conditioning = _conditioning(order, pictures, key.chunks, own)
        found.append(
            Pass.of(
                table,
                own,
                key=key,
                conditioning=conditioning.after(before) if before else conditioning,
                guidance_scale=pictures[0].guidance_scale,
                is_first=not number,
                upscaler=request.hires.upscaler if number and request.hires else None,
                guided_calls=(sum(calls) if refiner else calls[number]) * stop - before,
                controls=active_controls(order, pictures[0], number, calls[number]),
            )
        )
    return tuple(found)


def _refuse_other_refiner(
    request: ResolvedRequest, model: LoadedModel, refiner: LoadedModel
) -> None:
    """Raises UnsupportedField. Latents pass over as they are, so both VAEs must mean the same."""
    refuse_other_refiner(model.card, refiner.card, request)
    if refiner.sees_masks or _latents(refiner) != _latents(model):
        why = f"{refiner.card.id} cannot go on with the latents of {model.card.id}."
        raise UnsupportedField(why, fields={"/refiner": why})


def _latents(model: LoadedModel) -> tuple[object, ...]:
    config = model.vae.config
    names = ("latent_channels", "scaling_factor", "latents_mean", "latents_std")
    return model.vae_factor, *(getattr(config, name, None) for name in names)


def _pictures(order: Order) -> tuple[ResolvedRequest, ...]:
    """Its request; that of the picture too to which it is on its way, if it is."""
    return (order.request, *((order.towards.request,) if order.towards else ()))


def _passes(order: Order) -> list[tuple[ResolvedRequest, ...]]:
    """Each pass of the order's pictures."""
    return list(zip(*map(passes, _pictures(order)), strict=True))


def _conditioning(
    order: Order, pictures: Sequence[ResolvedRequest], chunks: int, model: LoadedModel
) -> ConditioningByCall:
    adapters = TextAdapters(text_terms(order), text_vectors(order))
    own, *others = (model.conditioner.condition(one, adapters, chunks=chunks) for one in pictures)
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
