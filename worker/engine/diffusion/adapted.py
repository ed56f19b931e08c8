"""Which adapters apply to which rows of a UNet call, and to which prompts."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch

from worker.engine.adapters.loaded import LoadedAdapter
from worker.engine.conditioning import TextTerm
from worker.engine.diffusion.packing import PackedRows
from worker.engine.diffusion.trajectory import Trajectory
from worker.engine.loop.messages import Order
from worker.engine.low_rank import Layers, Use


def unet_uses(members: Sequence[Trajectory], packed: PackedRows) -> list[Use]:
    """The layers that each image's rows add to a call's, empty if no image has an adapter.

    Rows of several images with one adapter are computed together, except in strict calls: there
    each image's are alone, so that neighbours change neither the shape nor the order of its sums.
    """
    apart = members[0].key.is_strict
    groups: dict[tuple[int, int], tuple[Layers, list[int], list[float]]] = {}
    for number, member in enumerate(members):
        places = range(packed.first[number], packed.last[number] + 1)
        for adapter, weight in unet_weights(member.order).items():
            layers = adapter.layers("unet")
            if not layers:
                continue
            group = (id(adapter), number if apart else -1)
            _, rows, weights = groups.setdefault(group, (layers, [], []))
            rows += places
            weights += [weight] * len(places)
    device = packed.first_rows.device
    every = list(range(packed.inputs.rows))
    return [
        Use(
            layers,
            torch.tensor(weights, device=device),
            None if rows == every and not apart else torch.tensor(rows, device=device),
        )
        for layers, rows, weights in groups.values()
    ]


def unet_weights(order: Order) -> Mapping[LoadedAdapter, float]:
    """The adapters of an order with their weights for the UNet; one that is named twice adds up."""
    return _weights(order, [lora.weight for lora in order.request.loras])


def text_terms(order: Order) -> tuple[TextTerm, ...]:
    """What its adapters change in the text encoders."""
    weights = _weights(order, [lora.text_encoder_weight for lora in order.request.loras])
    return tuple(
        TextTerm(one.sha256, weight, (one.layers("text_encoder"), one.layers("text_encoder_2")))
        for one, weight in weights.items()
    )


def _weights(order: Order, weights: Sequence[float]) -> dict[LoadedAdapter, float]:
    found: dict[LoadedAdapter, float] = {}
    for adapter, weight in zip(order.adapters, weights, strict=True):
        if adapter is not None:
            one = cast(LoadedAdapter, adapter)
            found[one] = found.get(one, 0.0) + weight
    return {one: weight for one, weight in found.items() if weight}
