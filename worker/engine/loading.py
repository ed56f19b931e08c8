"""A model on its way from its blueprint into memory."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from worker.engine.blueprint import Blueprint, settle
from worker.engine.device import Device
from worker.engine.stack import Stack


class Loading:
    """Reading comes first, in any thread; settling then, in the thread that computes.

    The two are apart because every thread that computes gets a pool of OpenMP threads of its own,
    and two pools slow each other down for good (docs/decisions/0004).
    """

    def __init__(self, blueprint: Blueprint, at: Device) -> None:
        self._blueprint = blueprint
        self._at = at
        self._networks: dict[str, nn.Module] = {}

    def read(self) -> None:
        """All files into memory, and on CUDA on to the device. Raises ConfigurationError."""
        self._networks = {name: part.read() for name, part in self._blueprint.parts.items()}
        if self._at.device.type == "cuda":
            # A stream of its own: copies beside the step loop's kernels, not between them.
            stream: Any = torch.cuda.Stream(self._at.device)  # type: ignore[no-untyped-call]
            with torch.cuda.stream(stream):
                for _ in self._settle():
                    pass
            stream.synchronize()

    def finish(self) -> Iterator[None]:
        """Convert what the device wants otherwise, a little at each `next`."""
        yield from self._settle()

    def _settle(self) -> Iterator[None]:
        for name, network in self._networks.items():
            precision = self._blueprint.parts[name].precision(self._at.dtype)
            yield from settle(network, replace(self._at, dtype=precision))

    def stack(self) -> Stack:
        """The model, ready to draw."""
        return Stack.assemble(self._blueprint, self._networks, self._at)


def load(blueprint: Blueprint, at: Device) -> Stack:
    """Read and settle at once. Raises ConfigurationError."""
    loading = Loading(blueprint, at)
    loading.read()
    for _ in loading.finish():
        pass
    return loading.stack()
