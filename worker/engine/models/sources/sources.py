"""Any source of a model to its blueprint."""

from latentry.sources import HubPin, ModelLocation
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.sources.folder import blueprint_from_folder
from worker.engine.models.sources.hub import blueprint_from_pin
from worker.engine.models.sources.single_file.checkpoint import blueprint_from_file


def blueprint_from_source(model: str, source: ModelLocation, *, prefer_fp16: bool) -> Blueprint:
    """Read everything but the weights. Raises ConfigurationError, and Unavailable of a hub.

    `prefer_fp16` takes weights that are stored in half precision where there are both.
    """
    if isinstance(source, HubPin):
        return blueprint_from_pin(model, source, prefer_fp16=prefer_fp16)
    if source.is_file():
        return blueprint_from_file(model, source)
    return blueprint_from_folder(model, source, prefer_fp16=prefer_fp16)
