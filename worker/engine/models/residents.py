"""Which models are in memory, and how others are loaded while those are in use."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Final

import structlog
import torch

from latentry.errors import ConfigurationError, LatentryError, ModelNotLoaded, OutOfMemory
from worker.engine.attempts import Attempts
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.eviction import make_room
from worker.engine.models.listed_models import ListedModels
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.models.loading.early_digests import EarlyDigests
from worker.engine.models.loading.loading import Loading, as_configuration_error
from worker.engine.models.memory import ModelMemory
from worker.engine.models.served_model import Residency, ServedModel

log = structlog.get_logger()

_IDLE_WAIT_S: Final = 0.02


class Residents:
    """All models that the engine serves, of which some are in memory.

    `budget_bytes` bounds the weights in memory; 0 sets no bound. `prove` draws with a model that
    was just loaded, and raises if that fails. `attempts`: notes on models of which the process may
    die. `listed`: all models that requests may name, in memory or not; `served` has them by id. At
    most one model is loading. All methods belong to the thread that computes, except where they say
    otherwise; files are read in a thread beside it.
    """

    def __init__(
        self,
        at: Device,
        prove: Callable[[str], object],
        *,
        budget_bytes: int = 0,
        now: Callable[[], float] = perf_counter,
        attempts: Attempts | None = None,
    ) -> None:
        self._at = at
        self._prove = prove
        self._attempts = attempts or Attempts(None)
        self._now = now
        self.memory = ModelMemory(at.device, budget_bytes)
        self.listed = ListedModels(at, self.memory, now)
        self.served = self.listed.by_id
        self._waiting: list[str] = []
        self._loading: Loading | None = None
        self._continued_at = 0.0

    @property
    def models(self) -> Mapping[str, LoadedModel]:
        """The models in memory by id, read-only; with them one that is being proved."""
        return self.memory.models

    @property
    def is_loading(self) -> bool:
        """Whether the next `continue_loading` may take as long as proving a model."""
        return self._loading is not None

    @property
    def is_changing(self) -> bool:
        """Whether `continue_loading` has something to do even where no order waits."""
        return self.listed.is_changing or self._loading is not None

    @property
    def blueprints(self) -> Mapping[str, Blueprint]:
        """Of all that are served from files, by id. May be read from any thread."""
        return self.listed.blueprints

    def adopt(self, model: str, loaded: LoadedModel) -> None:
        """Serve a model that is in memory already. It replaces its namesake and always stays."""
        self.served.pop(model, None)
        self.memory.put(model, loaded, size_bytes=0)

    def load(self, model: str, early: EarlyDigests | None = None) -> None:
        """Load one now, unless the device is full. Raises ConfigurationError or a JobFailed.

        `early`: hashes of files that may be its.
        """
        one = self.served[model]
        one.become(Residency.LOADING)
        threads = torch.get_num_threads()  # nothing else computes
        began = self._now()
        loading = Loading(one.blueprint, self._at, threads=threads, began=began, early=early)
        try:
            self._attempts.begin(model, lambda: one.blueprint.identity)
            with self._attempts.judged(model):
                loading.read()
                self._enter(one, loading)
        except (torch.OutOfMemoryError, OutOfMemory) as error:
            one.become(Residency.ABSENT)
            if not self.models:
                raise OutOfMemory(f"The device does not have enough memory for {model}.") from error
            self.memory.lower_budget(model, one.size_bytes)
        except BaseException:
            one.become(Residency.ABSENT)
            raise

    def fits(self, model: str) -> bool:
        """Whether it could be loaded beside all that are resident."""
        return self.memory.fits(self.served[model].size_bytes)

    def ready(self, model: str) -> bool:
        """Whether an order for it could begin; if not, it is loaded as soon as there is room.

        Raises UnknownModel, ModelGone, or ModelNotLoaded for a while after that failed.
        """
        if model not in self.served and model in self.models:
            return True
        one = self.listed.find(model)
        if one.is_outdated:
            return False
        one.needed_at = self._now()
        if one.has_failed_lately(one.needed_at):
            raise ModelNotLoaded(f"The model {model} did not load.", model=model)
        if one.state in (Residency.ABSENT, Residency.FAILED):
            one.become(Residency.WAITING)
            self._waiting.append(model)
        return one.state is Residency.RESIDENT

    def use(self, model: str, user: object) -> None:
        """As long as `user` is alive, the model stays."""
        if model in self.served:
            self.served[model].users.add(user)

    def continue_loading(self, *, idle: bool) -> None:
        """Spend a moment on loading; call it at each step boundary.

        If the loop is `idle`, wait a little for the files to be read.
        """
        self._let_go()
        if self._loading is not None:
            if self._loading.has_read(_IDLE_WAIT_S if idle else 0.0):
                self._finish(self._loading)
        elif self._waiting:
            self._start_loading()
        elif (new := self.listed.take_new()) is not None:
            self._start(new)
        else:
            self._reopen()
        self._continued_at = self._now()

    def evict(self, model: str) -> None:
        """Release a resident model and its memory."""
        self.served[model].become(Residency.ABSENT)
        self.memory.release(model)

    def _start_loading(self) -> None:
        """Start to read the first waiting model that fits, after making room for the very first."""
        first = self._waiting[0]
        if not self.fits(first):
            self._make_room(self.served[first])
        # Later ones that fit need not wait for the first; but only for the first is room made.
        model = next((one for one in self._waiting if self.fits(one)), None)
        if model is None:
            return
        self._waiting.remove(model)
        self._start(self.served[model])

    def _start(self, one: ServedModel) -> None:
        one.become(Residency.LOADING)
        try:
            self._attempts.begin(one.id, lambda: one.blueprint.identity)
        except ConfigurationError as error:
            self._fail(one, error.message)
            return
        self._loading = Loading(one.blueprint, self._at, began=self._now())
        self._loading.start()

    def _let_go(self) -> None:
        """Outdated models that nobody needs give their places to their successors."""
        for one in self.listed.left():
            if one.state is Residency.LEAVING:
                self.evict(one.id)
                log.info("model.left", model=one.id)
            self._waiting = [other for other in self._waiting if other != one.id]
            self.listed.succeed(one.id, one.successor)

    def _make_room(self, wanted: ServedModel) -> None:
        now = self._now()
        resident = [self.served[model] for model in self.models if model in self.served]
        occupants = [one.occupant(now, needed_since=self._continued_at) for one in resident]
        budget_bytes = max(self.memory.budget_bytes, wanted.size_bytes)
        decision = make_room(wanted.size_bytes, occupants, budget_bytes)
        for model in decision.evict:
            self.evict(model)
            log.info("model.evicted", model=model, wanted=wanted.id)
        if decision.drain is not None:
            self.served[decision.drain].become(Residency.DRAINING)

    def _reopen(self) -> None:
        """No model waits for memory any more: those that drain take orders again."""
        for one in self.served.values():
            if one.state is Residency.DRAINING:
                one.become(Residency.RESIDENT)

    def _finish(self, loading: Loading) -> None:
        """Prove a model that is read."""
        self._loading = None
        one = self.served[loading.model]
        if one.is_outdated:  # orders that waited for it ask again for its successor
            self._attempts.end(one.id)
            one.become(Residency.ABSENT)
            return
        try:
            with as_configuration_error(one.id), self._attempts.judged(one.id):
                self._enter(one, loading)
        except (torch.OutOfMemoryError, OutOfMemory):
            if not self.models:
                self._fail(one, "The device does not have enough memory for it.")
                return
            self.memory.lower_budget(one.id, one.size_bytes)
            one.become(Residency.WAITING if one.needed_at else Residency.ABSENT)
            if one.needed_at:
                self._waiting.insert(0, one.id)
        except LatentryError as error:
            self._fail(one, error.message)

    def _enter(self, one: ServedModel, loading: Loading) -> None:
        """Make a model that was read resident, if a test picture succeeds."""
        self.memory.put(one.id, loading.loaded(), one.size_bytes)
        try:
            self._prove(one.id)
        except BaseException:
            self.memory.release(one.id)
            raise
        one.enter(self._now(), began=loading.began)
        log.info("model.loaded", model=one.id, seconds=round(one.load_s, 3), bytes=one.size_bytes)

    def _fail(self, one: ServedModel, why: str) -> None:
        one.fail(self._now())
        log.error("model.not_loaded", model=one.id, why=why)
