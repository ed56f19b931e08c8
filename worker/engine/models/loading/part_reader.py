"""The parts of a model out of their files, tensor by tensor, each on to where it belongs."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

import torch
from torch import nn

from latentry.errors import ConfigurationError
from worker.engine.device import Device
from worker.engine.models.loading.conversion import converted
from worker.engine.models.loading.early_digests import EarlyDigests
from worker.engine.models.loading.fingerprint import WeightDigest
from worker.engine.models.loading.low_memory import home
from worker.engine.models.part import Part
from worker.engine.models.weights import StoredTensor, in_order

# What is read at once, then digested and converted while the processor's cache still has it.
_PIECE_BYTES: Final = 2**20

# Weights by name as they will be, each with the digest of what its file has.
_Read: TypeAlias = dict[str, "Future[tuple[torch.Tensor, str]]"]


class PartReader:
    """Reads, digests and converts one tensor after the other, in threads that torch does not know.

    So memory holds a part in the device's dtype, and beside it only the tensors that are on their
    way. `threads`: how many of them at once. `early`: what is hashed already. `digests`: of each
    weight that was read, by part and name.
    """

    def __init__(
        self,
        parts: Mapping[str, Part],
        at: Device,
        *,
        threads: int,
        early: EarlyDigests | None = None,
    ) -> None:
        self.digests: dict[str, dict[str, str]] = {}
        self._parts = parts
        self._at = at
        self._threads = threads
        self._early = early or EarlyDigests()

    def read(self, name: str) -> nn.Module:
        """A part, on its device. Raises ConfigurationError, also if its files have changed."""
        return self.read_all([name])[name]

    def read_all(self, names: Iterable[str]) -> dict[str, nn.Module]:
        """Parts by name. Each network is made while those before it are read."""
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="reading")
        try:
            begun = {name: self._begin(pool, name) for name in names}
            return {name: self._end(name, *one) for name, one in begun.items()}
        finally:
            pool.shutdown(cancel_futures=True)

    def _begin(self, pool: Executor, name: str) -> tuple[nn.Module, _Read]:
        """A part without weights, and what each weight will be."""
        module, stored = self._parts[name].fitted()
        read = partial(_read, self._where(name), self._early)
        return module, {one: pool.submit(read, stored[one]) for one in in_order(stored)}

    def _end(self, name: str, module: nn.Module, weights: _Read) -> nn.Module:
        read = {one: future.result() for one, future in weights.items()}
        digests = {one: told for one, (_, told) in read.items()}
        if self.digests.setdefault(name, digests) != digests:
            raise ConfigurationError(
                f"The files of the {name} have changed since it was loaded; restart the worker."
            )
        weights.clear()
        self._parts[name].filled(module, {one: tensor for one, (tensor, _) in read.items()})
        for buffer in module.buffers():  # those that no file has
            buffer.data = buffer.data.to(self._where(name).device)
        return module

    def _where(self, name: str) -> Device:
        at = home(name, self._at)
        return replace(at, dtype=self._parts[name].dtype_in(at.dtype))


def _read(at: Device, early: EarlyDigests, stored: StoredTensor) -> tuple[torch.Tensor, str]:
    """A weight on its device, and the digest of what its file has."""
    known = _hashed(early, stored)
    read = _read_weight(at, WeightDigest(known), stored)
    if known is not None and _hashed(early, stored) != known:  # it may have been written to
        read = _read_weight(at, WeightDigest(), stored)
    return read


def _hashed(early: EarlyDigests, stored: StoredTensor) -> str | None:
    """What is known of a weight, if it is as its file has it."""
    if stored.transposed or stored.scale != 1.0:
        return None
    return early.find(stored.file, stored.info.begin, stored.info.end)


def _read_weight(
    at: Device, digest: WeightDigest, stored: StoredTensor
) -> tuple[torch.Tensor, str]:
    if at.device.type == "cpu":
        pieces = map(digest.take, stored.pieces(_PIECE_BYTES))
        return converted(pieces, stored.shape, at), digest.of(stored)
    whole = digest.take(stored.read())
    with own_stream(at.device):
        # The device first: converting on the way there would compute on the CPU.
        weight = whole.to(at.device).to(at.dtype)
        if weight.ndim == 4:
            weight = weight.contiguous(memory_format=at.memory_format)
    return weight, digest.of(stored)


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """On CUDA a stream of its own: copies beside the step loop's kernels, not between them."""
    if device.type != "cuda":
        yield
        return
    stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        yield
    stream.synchronize()
