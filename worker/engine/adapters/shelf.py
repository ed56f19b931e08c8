"""What a backend does with adapters' files: look at them, and load them for a request."""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from latentry.contracts import Adapter
from latentry.errors import AdapterGone, AdaptersTooLarge, AdapterUnusable
from worker.engine.adapters.architecture import NETWORKS, Architecture
from worker.engine.adapters.bank import Bank
from worker.engine.adapters.description import described, family_of_file
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.layout import planned, refuse_other_methods
from worker.engine.adapters.loaded import LoadedAdapter, size_bytes
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint


class Shelf:
    """The adapters that fit the models of one backend. From any thread but that of the steps."""

    def __init__(
        self, at: Device, blueprints: Callable[[], Mapping[str, Blueprint]], budget_bytes: int
    ) -> None:
        self.bank = Bank(budget_bytes)
        self._at = at
        self._blueprints = blueprints
        self._known: dict[int, tuple[Blueprint, Architecture]] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def inspect(self, path: Path) -> Adapter:
        """What a file is, and which models it fits, perhaps none. Raises AdapterUnusable."""
        file = AdapterFile.read(path)
        refuse_other_methods(file)
        file.refuse_non_finite()
        family, fitting = family_of_file(file), {}
        misfit = AdapterUnusable("There is no model that it could fit.")
        for model, blueprint in self._blueprints().items():
            architecture = self._architecture(blueprint)
            try:
                fitting[model] = planned(file, architecture), architecture.family
            except AdapterUnusable as error:
                if not family or architecture.family == family:
                    misfit = error
        if fitting:
            plans, family = next(iter(fitting.values()))
            return described(
                file,
                family=family,
                models=tuple(fitting),
                rank=max(plan.rank for plan in plans),
                networks=tuple(n for n in NETWORKS if any(plan.network == n for plan in plans)),
            )
        if family:  # known, so that requests can be told why it is not for their model
            return described(file, family=family, reason=misfit.message)
        raise misfit

    def load(
        self, model: str, files: Sequence[tuple[Path, str] | None]
    ) -> tuple[LoadedAdapter | None, ...]:
        """The adapters in these files, which have these SHA-256; None for None.

        Raises AdapterGone, AdapterUnusable, AdaptersTooLarge or NoAdapterRoom.
        """
        hot = [one and self.bank.find((model, one[1])) for one in files]
        if all(found or not one for found, one in zip(hot, files, strict=True)):
            return tuple(hot)
        found: list[LoadedAdapter | None] = []
        # One job at a time: two that load the same file, or take each other's room, help nobody.
        with self._loading:
            for number, one in enumerate(files):
                beside = [*found, *hot[number + 1 :]]
                found.append(self._one(model, *one, beside=beside) if one else None)
        return tuple(found)

    def _one(
        self, model: str, path: Path, sha256: str, *, beside: Sequence[LoadedAdapter | None]
    ) -> LoadedAdapter:
        if (found := self.bank.find((model, sha256))) is not None:
            return found
        file = AdapterFile.read(path)
        if file.sha256 != sha256:
            raise AdapterGone
        file.refuse_non_finite()
        plans = planned(file, self._architecture(self._blueprints()[model]))
        needed = size_bytes(plans, self._at)
        # Waiting for room would be in vain where its own adapters take it.
        if needed + sum(one.size_bytes for one in set(beside) if one) > self.bank.budget_bytes:
            raise AdaptersTooLarge
        load = partial(LoadedAdapter.of, file, plans, self._at)
        try:
            return self.bank.get((model, sha256), needed, load)
        except torch.OutOfMemoryError as error:
            why = "The device does not have enough memory for the adapters of this job."
            raise AdaptersTooLarge(why) from error

    def _architecture(self, blueprint: Blueprint) -> Architecture:
        with self._lock:
            known = self._known.get(id(blueprint))
            if known is None or known[0] is not blueprint:
                known = self._known[id(blueprint)] = blueprint, Architecture.of(blueprint)
            return known[1]
