"""Several backends in one engine: each model's work goes to the backend that serves it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from latentry.contracts import Adapter, IntermediateKind, JobWarning
from latentry.errors import AdapterUnusable, ModelGone, UnknownModel
from worker.engine.loop.backend import Pictures, Plan, ServedBackend, Shelf, TimedCall
from worker.engine.loop.messages import LoadedAdapter, Order
from worker.engine.loop.stored import ModelReader, StoredBackend


class RoutedShelf:
    """The adapters of several backends, by model; more may come."""

    def __init__(self, by_model: Mapping[str, ServedBackend[Any]]) -> None:
        self._by_model = by_model

    def inspect(self, path: Path) -> Adapter:
        """As those see it whose models it fits, if any. Raises AdapterUnusable if none can."""
        found, failure = [], None
        for shelf in self._shelves:
            try:
                found.append(shelf.inspect(path))
            except AdapterUnusable as error:
                failure = failure or error
        if not found and failure is not None:
            raise failure
        best = max(found, key=lambda one: len(one.models))
        return best.model_copy(update={"models": tuple(m for one in found for m in one.models)})

    def load(self, model: str, files: Mapping[str, Path]) -> Mapping[str, LoadedAdapter]:
        """By the backend of the model."""
        if model not in self._by_model:
            raise ModelGone
        shelf: Shelf = self._by_model[model].adapters
        return shelf.load(model, files)

    @property
    def identity(self) -> str:
        """Those of all of them."""
        return "\n".join(sorted(one.identity for one in self._shelves))

    @property
    def edition(self) -> int:
        """Those of all of them."""
        return sum(one.edition for one in self._shelves)

    @property
    def held(self) -> frozenset[str]:
        """Those of all of them."""
        return frozenset[str]().union(*(one.held for one in self._shelves))

    @property
    def _shelves(self) -> list[Shelf]:
        return [one.adapters for one in dict.fromkeys(list(self._by_model.values()))]


class BackendRouter:
    """A `ServedBackend` over others, by model id. A batch key names its model, so a call has one.

    Their clocks must be the same one. `stored`: the one whose models may change.
    """

    def __init__(
        self, by_model: Mapping[str, ServedBackend[Any]], stored: StoredBackend[Any] | None = None
    ) -> None:
        self._by_model = dict(by_model)
        self._stored = stored
        backends = [*by_model.values(), *([] if stored is None else [stored])]
        self._backends = list(dict.fromkeys(backends))

    def backend_of(self, model: str) -> ServedBackend[Any]:
        """The backend that serves this model."""
        return self._by_model[model]

    @property
    def reader(self) -> ModelReader | None:
        """What reads the files of models that may change, if any may."""
        return None if self._stored is None else self._stored.reader

    @property
    def adapters(self) -> RoutedShelf:
        """Those of all backends."""
        return RoutedShelf(self._by_model)

    @property
    def identity(self) -> str:
        """Those of all backends."""
        return " and ".join(sorted(one.identity for one in self._backends))

    @property
    def resident(self) -> tuple[str, ...]:
        """The models of all that are in memory. May be read from any thread."""
        return tuple(model for one in self._backends for model in one.resident)

    @property
    def failed(self) -> tuple[str, ...]:
        """The models of all that did not load. May be read from any thread."""
        return tuple(model for one in self._backends for model in one.failed)

    @property
    def longest_test_s(self) -> float:
        """Seconds of the longest self-test so far."""
        return max(one.longest_test_s for one in self._backends)

    def now(self) -> float:
        """Seconds on the common clock."""
        return self._backends[0].now()

    def ready(self, *models: str) -> bool:
        """Whether the first one's backend has all. Raises UnknownModel, and what it raises."""
        for model in models:
            if model not in self._by_model:
                raise UnknownModel(f"This worker does not serve the model {model}.")
        return self._by_model[models[0]].ready(*models)

    @property
    def is_loading(self) -> bool:
        """Whether the next `continue_loading` may prove a model of any of them."""
        return any(one.is_loading for one in self._backends)

    @property
    def is_changing(self) -> bool:
        """Whether any of them has something to do even where no order waits."""
        return any(one.is_changing for one in self._backends)

    def continue_loading(self, *, idle: bool) -> None:
        """Let each go on with its models."""
        for one in self._backends:
            one.continue_loading(idle=idle)

    def change_model(self, model: str, blueprint: object) -> None:
        """By the one whose models may change. Its orders go there even when it is gone."""
        assert self._stored is not None, "what reads models' files serves them"
        self._by_model[model] = self._stored
        self._stored.change_model(model, blueprint)

    def examples(self) -> list[Order]:
        """One order of each resident model."""
        return [order for one in self._backends for order in one.examples()]

    def plan(self, order: Order) -> Plan:
        """By the backend of its model. Raises InvalidRequest."""
        return self._by_model[order.request.model].plan(order)

    def begin(self, order: Order, plan: Plan) -> tuple[Any, list[JobWarning]]:
        """By the backend of its model."""
        return self._by_model[order.request.model].begin(order, plan)

    def advance(self, members: Sequence[Any], rows: int) -> None:
        """One call, by the backend of its model."""
        self._of(members).advance(members, rows)

    def calls(self) -> list[TimedCall]:
        """The calls of all that ended since the last call of this method."""
        return [call for one in self._backends for call in one.calls()]

    def decode(self, members: Sequence[Any]) -> Pictures:
        """By the backend of their model."""
        return self._of(members).decode(members)

    def decode_frames(self, member: Any, frames: range) -> Pictures:
        """By the backend of its model."""
        return self._of([member]).decode_frames(member, frames)

    def preview(self, members: Sequence[Any]) -> Pictures:
        """By the backend of their model."""
        return self._of(members).preview(members)

    def show(self, member: Any, kind: IntermediateKind) -> Pictures:
        """By the backend of its model."""
        return self._of([member]).show(member, kind)

    def save(self, member: Any) -> bytes:
        """By the backend of its model."""
        return self._of([member]).save(member)

    def profile(self, member: Any) -> str | None:
        """By the backend of its model."""
        return self._of([member]).profile(member)

    def _of(self, members: Sequence[Any]) -> ServedBackend[Any]:
        return self._by_model[members[0].order.request.model]
