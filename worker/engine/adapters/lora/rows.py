"""Which adapters apply to which rows of a UNet call, and to which prompts."""

from collections.abc import Mapping, Sequence
from typing import cast

from worker.engine.adapters.lora.loaded import LoadedAdapter
from worker.engine.conditioning import TextTerm
from worker.engine.loop.messages import Order
from worker.engine.low_rank.term import Layers
from worker.engine.low_rank.use import Use


def unet_uses(
    orders: Sequence[Order],
    places: Sequence[range],
    *,
    rows: int,
    apart: bool,
) -> list[Use]:
    """The layers that images' rows add to a call's `rows`; empty if no image has an adapter.

    Rows of several images with one adapter are computed together, unless they are kept `apart`, as
    in strict calls: there neighbours must change neither the shape nor the order of a row's sums.
    """
    groups: dict[tuple[int, int], tuple[Layers, list[range], list[float]]] = {}
    for number, (order, own) in enumerate(zip(orders, places, strict=True)):
        for adapter, weight in unet_weights(order).items():
            if layers := adapter.unet:
                group = (id(adapter), number if apart else -1)
                _, runs, weights = groups.setdefault(group, (layers, [], []))
                runs.append(own)
                weights += [weight] * len(own)
    return [
        Use(
            layers,
            weights,
            # Where all rows are meant, none has to be chosen.
            () if len(weights) == rows and not apart else _joined(runs),
        )
        for layers, runs, weights in groups.values()
    ]


def _joined(runs: Sequence[range]) -> tuple[range, ...]:
    """Runs in ascending order, with those that follow each other made one."""
    found: list[range] = []
    for run in runs:
        if found and found[-1].stop == run.start:
            run = range(found.pop().start, run.stop)
        found.append(run)
    return tuple(found)


def unet_weights(order: Order) -> Mapping[LoadedAdapter, float]:
    """The adapters of an order with their weights for the UNet; one that is named twice adds up."""
    return _weights(order, [lora.weight for lora in order.request.loras])


def text_terms(order: Order) -> tuple[TextTerm, ...]:
    """What its adapters change in the text encoders."""
    weights = _weights(order, [lora.text_encoder_weight for lora in order.request.loras])
    return tuple(TextTerm(one.sha256, weight, one.text_encoders) for one, weight in weights.items())


def likeness(order: Order) -> tuple[tuple[int, int, float], ...]:
    """Sorts orders so that those with the same weights of the same adapters follow each other.

    Those of the most layers are the last: at a layer that few have, most rows are of one piece.
    """
    worn = [(len(one.unet), id(one), weight) for one, weight in unet_weights(order).items()]
    return tuple(sorted(worn, reverse=True))


def _weights(order: Order, weights: Sequence[float]) -> dict[LoadedAdapter, float]:
    found: dict[LoadedAdapter, float] = {}
    for lora, weight in zip(order.request.loras, weights, strict=True):
        if lora.has_effect:
            one = cast(LoadedAdapter, order.adapters[lora.sha256])
            found[one] = found.get(one, 0.0) + weight
    return {one: weight for one, weight in found.items() if weight}
