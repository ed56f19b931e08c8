"""Which controls count at an image's calls, and what they add to which rows of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch

from latentry.contracts import ControlMode, ResolvedRequest
from worker.engine.adapters.control.loaded import LoadedControl, Tensors
from worker.engine.adapters.control.t2i_adapter.loaded import LoadedT2IAdapter
from worker.engine.device import sent
from worker.engine.loop.messages import Order
from worker.engine.residuals import Residuals
from worker.engine.seamless import padded


@dataclass(frozen=True, slots=True, eq=False)
class ActiveControl:
    """One ControlNet of a pass. calls: in which it counts. seen [1, C, h, w]: of its picture."""

    network: LoadedControl
    mode: ControlMode
    weight: float
    calls: range
    seen: torch.Tensor

    def rows(self, own: range, positive: int) -> range:
        """Those of an image's rows that it is for; the last ones are so many of its prompt."""
        of_prompt_alone = self.mode.is_of_prompt_alone or self.network.pools
        return range(own.stop - positive, own.stop) if of_prompt_alone else own


@dataclass(frozen=True, slots=True, eq=False)
class ActiveFeatures:
    """One T2I-Adapter of a pass. calls: in which it counts. values: what it adds at each place on
    the UNet's way down, and after its middle: [1, C, h, w] each, with its weight in them.
    """

    calls: range
    values: Sequence[torch.Tensor]


Active: TypeAlias = ActiveControl | ActiveFeatures


@torch.inference_mode()
def active_controls(
    order: Order, request: ResolvedRequest, pass_number: int, calls: int
) -> tuple[Active, ...]:
    """Those of an order's pass, which has a request of its own and makes so many calls."""
    found = list[Active]()
    for control, pictures in zip(request.controls, order.controls, strict=True):
        if control.has_effect and (window := control.window(calls)):
            network = cast(LoadedControl | LoadedT2IAdapter, order.adapters[control.sha256])
            picture, weight = pictures[pass_number], control.weight
            with padded(request.seamless):  # alone, so that nothing else changes its bits
                if isinstance(network, LoadedT2IAdapter):
                    found.append(ActiveFeatures(window, network.features(picture, weight)))
                else:
                    seen = network.embedded(picture)
                    found.append(ActiveControl(network, control.mode, weight, window, seen))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ControlRows:
    """One image in a call: its rows, how many of them are of its prompt, and its controls there."""

    own: range
    positive: int
    controls: Sequence[Active]


def call_residuals(
    images: Sequence[ControlRows], inputs: Tensors, *, apart: bool
) -> list[Residuals]:
    """What all ControlNets add to a call of these inputs; none if no image has one there.

    Rows of several images with one ControlNet take one call of it, unless they are kept `apart`, as
    in strict calls: there neighbours must change neither the shape nor the order of a row's sums.
    """
    groups: dict[tuple[int, int], list[tuple[ActiveControl, range]]] = {}
    for number, image in enumerate(images):
        for control in image.controls:
            if not isinstance(control, ActiveControl):
                continue
            rows = control.rows(image.own, image.positive)
            group = (id(control.network), number if apart else -1)
            groups.setdefault(group, []).append((control, rows))
    return [_residuals(group, inputs) for group in groups.values()]


def call_features(images: Sequence[ControlRows]) -> list[Residuals]:
    """What all T2I-Adapters add inside a call's way down: to all rows of their images."""
    return [
        Residuals(control.values, [image.own])
        for image in images
        for control in image.controls
        if isinstance(control, ActiveFeatures)
    ]


def _residuals(group: Sequence[tuple[ActiveControl, range]], inputs: Tensors) -> Residuals:
    network, runs = group[0][0].network, [rows for _, rows in group]
    seen = torch.cat([one.seen.expand(len(rows), -1, -1, -1) for one, rows in group])
    values = network.residuals(_chosen(inputs, runs), seen)
    scales = [
        network.scales(one.mode, one.weight, len(values)) for one, rows in group for _ in rows
    ]
    factors = sent(torch.tensor(scales).T.contiguous(), seen.device).to(seen.dtype)
    scaled = [value * own[:, None, None, None] for value, own in zip(values, factors, strict=True)]
    return Residuals(scaled, runs)


def _chosen(inputs: Tensors, runs: Sequence[range]) -> Tensors:
    """Copies of the rows in these runs: where they are in a call must change no bit."""

    def of(tensor: torch.Tensor) -> torch.Tensor:
        return torch.cat([tensor[run.start : run.stop] for run in runs])

    x, t, hidden, added = inputs
    return of(x), of(t), of(hidden), {name: of(value) for name, value in added.items()}
