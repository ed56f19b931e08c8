"""The device memory that models take, within a budget."""

from collections.abc import Mapping
from types import MappingProxyType

import structlog
import torch

from worker.engine.models.loaded_model import LoadedModel

log = structlog.get_logger()


class ModelMemory:
    """The loaded models of one device, and a budget in bytes for their weights; 0 sets no bound."""

    def __init__(self, device: torch.device, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._device = device
        self._loaded: dict[str, LoadedModel] = {}
        self._sizes: dict[str, int] = {}
        self.models: Mapping[str, LoadedModel] = MappingProxyType(self._loaded)

    @property
    def used_bytes(self) -> int:
        """What the weights in memory take."""
        return sum(self._sizes.values())

    def reserve(self, size_bytes: int) -> None:
        """Leave so much of the budget to others, for ever."""
        if self.budget_bytes:
            self.budget_bytes = max(1, self.budget_bytes - size_bytes)

    def fits(self, size_bytes: int) -> bool:
        """Whether a model of this size could be loaded beside all that are in memory.

        One larger than all of the budget may still be tried alone: that is lowered by what did not
        fit beside others, and else its jobs would wait for ever.
        """
        used_bytes = self.used_bytes
        is_within = used_bytes + size_bytes <= self.budget_bytes
        return not (self.budget_bytes and used_bytes) or is_within

    def put(self, model: str, loaded: LoadedModel, size_bytes: int) -> None:
        """Keep a model; it replaces its namesake."""
        self._loaded[model], self._sizes[model] = loaded, size_bytes

    def release(self, model: str) -> None:
        """Release a model and its memory."""
        del self._loaded[model], self._sizes[model]
        if self._device.type == "cuda":
            # Its memory belongs to the stream it was loaded on, and kernels may still read it.
            torch.cuda.synchronize(self._device)
            torch.cuda.empty_cache()
        elif self._device.type == "mps":
            torch.mps.empty_cache()

    def lower_budget(self, model: str, size_bytes: int) -> None:
        """The device was full before the budget was: what is in memory now is the new budget.

        `model`, which did not fit, must still fit when it is alone.
        """
        self.budget_bytes = max(self.used_bytes, size_bytes)
        log.warning("model.out_of_memory", model=model, budget_bytes=self.budget_bytes)
