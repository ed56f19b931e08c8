"""How many seconds calls take on the device, and how far the loop may run ahead of it."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final

import torch

from worker.batching import BatchKey
from worker.engine.loop.backend import TimedCall

# One call runs, one is queued: the device is never idle, and newcomers wait for no more than that.
_AHEAD: Final = 2


class Timing:
    """Times UNet calls: on CUDA by events on the stream, elsewhere by the clock."""

    def __init__(self, device: torch.device) -> None:
        self._on_cuda = device.type == "cuda"
        self._on_mps = device.type == "mps"
        self._running: deque[tuple[BatchKey, int, Any, Any]] = deque()
        self._ended: list[TimedCall] = []

    @contextmanager
    def call(self, key: BatchKey, rows: int) -> Iterator[None]:
        """Around one call; on CUDA it waits first while too many are under way."""
        if not self._on_cuda:
            began = perf_counter()
            yield
            if self._on_mps:
                torch.mps.synchronize()
            self._ended.append(TimedCall(key, rows, perf_counter() - began))
            return
        while len(self._running) >= _AHEAD:
            self._retire()
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begun.record()
        yield
        ended.record()
        self._running.append((key, rows, begun, ended))

    def ended(self) -> list[TimedCall]:
        """The calls that ended since the last call of this method."""
        while self._running and self._running[0][3].query():
            self._retire()
        ended, self._ended = self._ended, []
        return ended

    def _retire(self) -> None:
        key, rows, begun, ended = self._running.popleft()
        ended.synchronize()
        self._ended.append(TimedCall(key, rows, begun.elapsed_time(ended) / 1000))
