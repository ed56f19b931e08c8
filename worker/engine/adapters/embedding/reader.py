"""Embeddings as a kind of adapter."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from latentry.contracts import Adapter
from latentry.errors import AdapterUnusable
from worker.engine.adapters.embedding.layout import (
    Vectors,
    described,
    family_of_file,
    is_embedding,
    vectors_of,
    widths,
)
from worker.engine.adapters.embedding.loaded import LoadedEmbedding
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.per_model import PerModel
from worker.engine.adapters.reader import Loading
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint

_ENCODERS = ("text_encoder", "text_encoder_2")


class EmbeddingReader:
    """Reads the layouts of AUTOMATIC1111, diffusers and SDXL, for the text encoders of models."""

    def __init__(self, at: Device) -> None:
        self._at = at
        self._widths = PerModel(_widths)

    def recognises(self, file: AdapterFile) -> bool:
        """By the names of its tensors."""
        return is_embedding(file)

    def inspect(self, file: AdapterFile, blueprints: Mapping[str, Blueprint]) -> Adapter:
        """Which models it fits, perhaps none. Raises AdapterUnusable."""
        vectors = vectors_of(file)
        family, fitting = family_of_file(vectors), dict[str, Blueprint]()
        misfit = AdapterUnusable("There is no model that it could fit.")
        for model, blueprint in blueprints.items():
            try:
                self._fitting(vectors, blueprint)
                fitting[model] = blueprint
            except AdapterUnusable as error:
                if not family or blueprint.card.family == family:
                    misfit = error
        if fitting:
            family = next(iter(fitting.values())).card.family
            return described(file, vectors, family=family, models=tuple(fitting))
        if family:  # known, so that requests can be told why it is not for their model
            return described(file, vectors, family=family, reason=misfit.message)
        raise misfit

    def plan(self, file: AdapterFile, blueprint: Blueprint) -> Loading:
        """Its vectors for the text encoders of a model. Raises AdapterUnusable."""
        vectors = self._fitting(vectors_of(file), blueprint)
        size = self._at.dtype.itemsize * sum(one.count for one in vectors.values())
        return Loading(size, partial(LoadedEmbedding.of, file, vectors, self._at))

    def _fitting(self, vectors: Vectors, blueprint: Blueprint) -> Vectors:
        """Those for the model's encoders, of their widths. Raises AdapterUnusable."""
        wanted = self._widths.of(blueprint)
        own = {name: vectors[name] for name in wanted if name in vectors}
        # SDXL's first encoder is SD 1.x's, and a file for both is none for SD 1.x; but its refiner
        # has the second alone.
        is_for_others = "text_encoder" in wanted and own.keys() != vectors.keys()
        if own.keys() != wanted.keys() or is_for_others or widths(own) != tuple(wanted.values()):
            its, takes = widths(vectors), tuple(wanted.values())
            raise AdapterUnusable(
                f"Its vectors have {_numbers(its)} numbers; the text encoders of"
                f" {blueprint.card.id} take {_numbers(takes)}."
            )
        return own


def _widths(blueprint: Blueprint) -> dict[str, int]:
    """Numbers in a vector of each of a model's text encoders, in their order."""
    found = {}
    for name in _ENCODERS:
        if name in blueprint.parts:
            with torch.device("meta"):
                encoder: Any = blueprint.parts[name].make()
            found[name] = int(encoder.config.hidden_size)
    return found


def _numbers(found: tuple[int, ...]) -> str:
    return " and ".join(map(str, found))
