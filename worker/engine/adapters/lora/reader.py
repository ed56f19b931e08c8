"""LoRA as a kind of adapter: each file is one that is of no other kind."""

from collections.abc import Mapping
from functools import partial

from latentry.contracts import Adapter
from latentry.errors import AdapterUnusable
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.lora.architecture import NETWORKS, Architecture
from worker.engine.adapters.lora.description import described, family_of_file
from worker.engine.adapters.lora.layout import planned, refuse_other_methods
from worker.engine.adapters.lora.loaded import LoadedAdapter, size_bytes
from worker.engine.adapters.per_model import PerModel
from worker.engine.adapters.reader import Loading
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint


class LoraReader:
    """Reads LoRA's layouts, for the layers of each model."""

    def __init__(self, at: Device) -> None:
        self._at = at
        self._architectures = PerModel(Architecture.of)

    def recognises(self, file: AdapterFile) -> bool:
        """Always: the last kind to be asked, which says what is wrong with a file of none."""
        return True

    def inspect(self, file: AdapterFile, blueprints: Mapping[str, Blueprint]) -> Adapter:
        """What a file is, and which models it fits, perhaps none. Raises AdapterUnusable."""
        refuse_other_methods(file)
        file.refuse_non_finite()
        family, fitting = family_of_file(file), {}
        misfit = AdapterUnusable("There is no model that it could fit.")
        for model, blueprint in blueprints.items():
            architecture = self._architectures.of(blueprint)
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

    def plan(self, file: AdapterFile, blueprint: Blueprint) -> Loading:
        """The layers that it changes in a model. Raises AdapterUnusable."""
        file.refuse_non_finite()
        architecture = self._architectures.of(blueprint)
        plans = planned(file, architecture)
        load = partial(LoadedAdapter.of, file, plans, architecture.shapes, self._at)
        return Loading(size_bytes(plans, self._at), load)
