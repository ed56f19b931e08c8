"""Which models are in memory, and how another gets there while those draw on."""

from collections.abc import Callable, Collection, Iterator
from time import perf_counter
from typing import Final

import structlog
import torch

from latentry.errors import (
    ConfigurationError,
    LatentryError,
    ModelNotLoaded,
    OutOfMemory,
    UnknownModel,
)
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.models.loading import Loading, as_unusable
from worker.engine.models.servable import Servable

log = structlog.get_logger()

# How long a step of the others may wait for a conversion: so much of a step, and at least this.
_SHARE: Final = 0.2
_SLICE_S: Final = 0.005
_WAIT_S: Final = 0.02


class Residents:
    """The models within a memory budget; the one that nobody asked for longest goes first.

    All methods belong to the thread that computes. Reading happens in a thread beside it.
    """

    def __init__(
        self,
        at: Device,
        *,
        prove: Callable[[str], object],
        budget_bytes: int = 0,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self.stacks: dict[str, LoadedModel] = {}
        self._at = at
        self._prove = prove
        self._budget = budget_bytes
        self._now = now
        self._models: dict[str, Servable] = {}
        self._wanted: list[str] = []
        self._yielding: set[str] = set()
        self._loading: tuple[str, Loading, Iterator[None], float] | None = None
        self._tended_at = 0.0

    def add(self, blueprint: Blueprint) -> None:
        """A model that may be asked for. Raises ConfigurationError if it can never fit."""
        model, size = blueprint.card.id, blueprint.size_bytes(self._at.dtype)
        if self._budget and size > self._budget:
            raise ConfigurationError(
                f"The weights of {model} take {size} bytes; LATENTRY_MODEL_MEMORY_BYTES allows "
                f"{self._budget}."
            )
        self._models[model] = Servable(blueprint, size)

    def forget(self, model: str) -> None:
        """It is served no more, if it ever was."""
        self._models.pop(model, None)

    def load(self, model: str) -> None:
        """Load one now, unless the device is full. Raises ConfigurationError or a JobFailed."""
        began = self._now()
        loading = Loading(self._models[model].blueprint, self._at)
        try:
            loading.read()
            for _ in loading.finish():
                pass
            self._enter(model, loading.stack(), began)
        except (torch.OutOfMemoryError, OutOfMemory) as error:
            if not self.stacks:
                raise OutOfMemory(f"The device has not enough memory for {model}.") from error
            self._bound(model)

    def fits(self, model: str) -> bool:
        """Whether it could be loaded beside all that are resident."""
        return not self._budget or self._used + self._models[model].size_bytes <= self._budget

    def ready(self, model: str) -> bool:
        """Whether an order for it could begin; if not, it is loaded as soon as there is room.

        Raises UnknownModel, or ModelNotLoaded for a while after that failed.
        """
        if model in self.stacks and model not in self._models:
            return True
        if model not in self._models:
            raise UnknownModel(f"This engine holds no model {model}.")
        one = self._models[model]
        one.asked_at = self._now()
        if model in self.stacks:
            return model not in self._yielding
        if one.is_left_alone(self._now()):
            raise ModelNotLoaded(one.why)
        if model not in self._wanted and not (self._loading and self._loading[0] == model):
            self._wanted.append(model)
        return False

    @property
    def failed(self) -> tuple[str, ...]:
        """Those that did not load and are left alone for a while. May be asked from any thread."""
        now = self._now()
        return tuple(model for model, one in self._models.items() if one.is_left_alone(now))

    def use(self, model: str, user: object) -> None:
        """As long as `user` is alive, the model stays."""
        if model in self._models:
            self._models[model].users.add(user)

    @property
    def is_loading(self) -> bool:
        """Whether the next `tend` may convert or prove a model, for however long that takes."""
        return self._loading is not None

    def tend(self, *, idle: bool) -> None:
        """Go on with what is being loaded; call it at each step boundary.

        An `idle` loop has nothing else to do: it waits a little.
        """
        if self._loading is None:
            self._begin()
        elif self._loading[1].wait(_WAIT_S if idle else 0.0):
            self._go_on(*self._loading, idle=idle)
        self._tended_at = self._now()

    @property
    def _used(self) -> int:
        return sum(self._models[model].size_bytes for model in self.stacks)

    def _begin(self) -> None:
        if not self._wanted:
            self._yielding.clear()
            return
        first = self._wanted[0]
        if not self.fits(first):
            self._make_room(first)
        # Nobody makes room for the others: the first would wait for ever.
        model = next((one for one in self._wanted if self.fits(one)), None)
        if model is None:
            return
        self._wanted.remove(model)
        loading = Loading(self._models[model].blueprint, self._at)
        self._loading = (model, loading, loading.finish(), self._now())
        loading.start()

    def _go_on(
        self, model: str, loading: Loading, slices: Iterator[None], began: float, *, idle: bool
    ) -> None:
        """Once it is read: convert for a moment at a time, then prove it."""
        until = self._now() + max(_SLICE_S, _SHARE * (self._now() - self._tended_at))
        try:
            with as_unusable(model):
                loading.check()
                for _ in slices:
                    if not idle and self._now() >= until:
                        return
                self._loading = None
                self._enter(model, loading.stack(), began)
        except (torch.OutOfMemoryError, OutOfMemory):
            self._loading = None
            if self.stacks:
                self._bound(model)
                self._wanted.insert(0, model)
            else:
                self._fail(model, "The device has not enough memory for it.")
        except LatentryError as error:
            self._loading = None
            self._fail(model, error.message)

    def _enter(self, model: str, stack: LoadedModel, began: float) -> None:
        self.stacks[model] = stack
        one = self._models[model]
        try:
            self._prove(model)
        except BaseException:
            self._leave(model)
            raise
        one.entered(self._now(), began=began)
        log.info("model.loaded", model=model, seconds=round(one.load_s, 3), bytes=one.size_bytes)

    def _leave(self, model: str) -> None:
        del self.stacks[model]
        self._yielding.discard(model)
        if self._at.device.type == "cuda":
            # Its memory belongs to the stream it was loaded on, and kernels may still read it.
            torch.cuda.synchronize(self._at.device)
            torch.cuda.empty_cache()

    def _make_room(self, wanted: str) -> None:
        """Let go of whom nobody needs, if that is enough; else a turn may be over.

        Those whose turn is over take no new orders.
        """
        by_use = sorted(self.stacks, key=lambda model: self._models[model].asked_at)
        free = [model for model in by_use if self._is_free(model)]
        if self._would_fit(wanted, without=free):
            for model in free:
                if not self.fits(wanted):
                    self._leave(model)
                    log.info("model.evicted", model=model, wanted=wanted)
            return
        going = self._yielding.union(free)
        if self._would_fit(wanted, without=going):
            return
        staying = [self._models[model] for model in self.stacks if model not in going]
        for one in sorted(staying, key=lambda one: one.since)[:1]:
            if one.has_had_its_turn(self._now()):
                self._yielding.add(one.blueprint.card.id)

    def _would_fit(self, wanted: str, *, without: Collection[str]) -> bool:
        freed = sum(self._models[model].size_bytes for model in without)
        return self._used - freed + self._models[wanted].size_bytes <= self._budget

    def _is_free(self, model: str) -> bool:
        """Whether nothing is drawn with it, and no order waits for it or none may begin."""
        one = self._models[model]
        is_asked_for = one.asked_at >= self._tended_at and model not in self._yielding
        return not one.users and not is_asked_for

    def _bound(self, model: str) -> None:
        """The device is full: from now on what is there is the budget."""
        self._budget = max(self._used, self._models[model].size_bytes)
        log.warning("model.out_of_memory", model=model, budget_bytes=self._budget)

    def _fail(self, model: str, why: str) -> None:
        self._models[model].fail(self._now(), why)
        log.error("model.not_loaded", model=model, why=why)
