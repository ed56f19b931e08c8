"""All models that requests may name, in memory or not; they come and go with their files."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from latentry.errors import ConfigurationError, ModelGone, UnknownModel, UnsupportedField
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.loading.low_memory import leaves
from worker.engine.models.memory import ModelMemory
from worker.engine.models.served_model import Residency, ServedModel


class ListedModels:
    """By id. Properties may be read from any thread; methods belong to the thread that computes.

    `edition` is another number when there are other models.
    """

    def __init__(self, at: Device, memory: ModelMemory, now: Callable[[], float]) -> None:
        self.by_id: dict[str, ServedModel] = {}
        self.edition = 0
        self.at = at
        self._memory = memory
        self._now = now
        self._gone: set[str] = set()
        self._new: list[str] = []

    @property
    def blueprints(self) -> Mapping[str, Blueprint]:
        """Of all, as their files are now. What draws to its end without files is none of them."""
        found = {}
        for id, one in list(self.by_id.items()):
            blueprint = one.successor if one.is_outdated else one.blueprint
            if blueprint is not None:
                found[id] = blueprint
        return found

    @property
    def failed(self) -> tuple[str, ...]:
        """Those that did not load and are not tried for a while."""
        now = self._now()
        return tuple(one.id for one in list(self.by_id.values()) if one.has_failed_lately(now))

    @property
    def is_changing(self) -> bool:
        """Whether one is to leave now, or a new one to be loaded if there is room."""
        return bool(self._new) or any(one.has_left for one in self.by_id.values())

    def size_bytes(self, blueprint: Blueprint) -> int:
        """Of its weights in memory. From any thread. Raises ConfigurationError if it never fits."""
        size, budget = self._size_bytes(blueprint), self._memory.budget_bytes
        if 0 < budget < size:
            raise ConfigurationError(
                f"The weights of {blueprint.card.id} take {size} bytes; "
                f"LATENTRY_MODEL_MEMORY_BYTES allows {budget}."
            )
        return size

    def add(self, blueprint: Blueprint) -> None:
        """Serve a model, without loading it. Raises ConfigurationError if it can never fit."""
        self.by_id[blueprint.card.id] = ServedModel(blueprint, self.size_bytes(blueprint))

    def forget(self, model: str) -> None:
        """It is served no more, if it ever was."""
        self.by_id.pop(model, None)

    def find(self, model: str) -> ServedModel:
        """Raises ModelGone, or UnknownModel if it never was there."""
        found = self.by_id.get(model)
        if found is not None and (found.successor or not found.is_outdated):
            return found
        if found is not None or model in self._gone:
            raise ModelGone
        raise UnknownModel(f"This worker does not serve the model {model}.")

    def refuse_together(self, models: Sequence[str]) -> None:
        """Raises UnsupportedField if the models of one order can never be in memory together."""
        found = [self.by_id[model] for model in dict.fromkeys(models) if model in self.by_id]
        if 0 < self._memory.budget_bytes < sum(one.size_bytes for one in found) and found[1:]:
            why = f"This worker's memory does not hold {' and '.join(models)} together."
            raise UnsupportedField(why, fields={"/refiner": why})

    def change(self, model: str, blueprint: Blueprint | None) -> None:
        """Its files are others now, those of this blueprint; or they are gone."""
        self._gone.add(model)
        if model in self.by_id:
            self.by_id[model].outdate(blueprint)
        else:
            self.succeed(model, blueprint)
        self.edition += 1  # last: who sees it in another thread sees the models too

    def left(self) -> Iterator[ServedModel]:
        """Those that nobody needs as they are, whose successors may take their places."""
        return iter([one for one in self.by_id.values() if one.has_left])

    def succeed(self, model: str, blueprint: Blueprint | None) -> None:
        """List this one instead of what has left, if there is any."""
        self.by_id.pop(model, None)
        if blueprint is not None:
            self.by_id[model] = ServedModel(blueprint, self._size_bytes(blueprint))
            self._new.append(model)

    def take_new(self) -> ServedModel | None:
        """The next new one that fits into memory beside all others. The rest wait to be asked."""
        while self._new:
            one = self.by_id.get(self._new.pop(0))
            if one and one.state is Residency.ABSENT and self._memory.fits(one.size_bytes):
                return one
        return None

    def _size_bytes(self, blueprint: Blueprint) -> int:
        absent = [part for part in blueprint.parts if leaves(part, self.at)]
        return blueprint.size_bytes(self.at.dtype, without=absent)
