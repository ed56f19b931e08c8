"""Which ControlNets count at an image's calls, and what they add to which rows of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch

from latentry.contracts import ControlMode, ResolvedRequest
from worker.engine.adapters.control.loaded import LoadedControl, Tensors
from worker.engine.device import sent
from worker.engine.loop.messages import Order
from worker.engine.residuals import Residuals
from worker.engine.seamless import padded


@dataclass(frozen=True, slots=True, eq=False)
class ActiveControl:
    """One control of a pass. calls: in which it counts. seen [1, C, h, w]: of its picture."""

    network: LoadedControl
    mode: ControlMode
    weight: float
    calls: range
    seen: torch.Tensor

    def rows(self, own: range, positive: int) -> range:
        """Those of an image's rows that it is for; the last ones are so many of its prompt."""
        of_prompt_alone = self.mode.is_of_prompt_alone or self.network.pools
        return range(own.stop - positive, own.stop) if of_prompt_alone else own


@torch.inference_mode()
def active_controls(
    order: Order, request: ResolvedRequest, pass_number: int, calls: int
) -> tuple[ActiveControl, ...]:
    """Those of an order's pass, which has a request of its own and makes so many calls."""
    found = []
    for control, pictures in zip(request.controls, order.controls, strict=True):
        if control.has_effect and (window := control.window(calls)):
            network = cast(LoadedControl, order.adapters[control.sha256])
            with padded(request.seamless):  # alone, so that nothing else changes its bits
                seen = network.embedded(pictures[pass_number])
            found.append(ActiveControl(network, control.mode, control.weight, window, seen))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ControlRows:
    """One image in a call: its rows, how many of them are of its prompt, and its controls there."""

    own: range
    positive: int
    controls: Sequence[ActiveControl]


def call_residuals(
    images: Sequence[ControlRows], inputs: Tensors, *, apart: bool
) -> list[Residuals]:
    """What all controls add to a call of these inputs; none if no image has one there.

    Rows of several images with one ControlNet take one call of it, unless they are kept `apart`, as
    in strict calls: there neighbours must change neither the shape nor the order of a row's sums.
    """
    groups: dict[tuple[int, int], list[tuple[ActiveControl, range]]] = {}
    for number, image in enumerate(images):
        for control in image.controls:
            rows = control.rows(image.own, image.positive)
            group = (id(control.network), number if apart else -1)
            groups.setdefault(group, []).append((control, rows))
    return [_residuals(group, inputs) for group in groups.values()]


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
