"""What models' files say, read beside the steps for a backend that is to serve them."""

from pathlib import Path

from latentry.contracts import ModelCard
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.listed_models import ListedModels
from worker.engine.models.loading.loading import as_configuration_error
from worker.engine.models.sources.sources import blueprint_from_source


class DiffusionReader:
    """A `ModelReader` of Stable Diffusion models. From any thread but that of the steps."""

    def __init__(self, at: Device, listed: ListedModels) -> None:
        self._at = at
        self._listed = listed

    def read(self, model: str, path: Path) -> tuple[ModelCard, Blueprint]:
        """Card and blueprint of a file or folder, all of whose weights have a place.

        Raises ConfigurationError, also for one that never fits into memory.
        """
        with as_configuration_error(model):
            blueprint = blueprint_from_source(model, path, prefer_fp16=self._at.prefers_fp16)
            for part in blueprint.parts.values():
                part.fitted()
            self._listed.size_bytes(blueprint)
        return blueprint.card, blueprint
