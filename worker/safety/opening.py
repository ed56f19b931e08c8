"""The classifier that LATENTRY_CLASSIFIER names."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeVar

import structlog
from pydantic import BaseModel

from latentry.errors import ConfigurationError
from latentry.settings import Settings
from worker.safety.classifier import Classifier

log = structlog.get_logger()

C = TypeVar("C", bound=BaseModel)

_ONNX: Final = ".onnx"


def open_classifier(settings: Settings) -> Classifier | None:
    """Load and try it; None if the setting is empty. Raises ConfigurationError."""
    if not settings.classifier:
        return None
    place = Path(settings.classifier)
    if not place.exists():
        raise ConfigurationError(f"LATENTRY_CLASSIFIER: {place} does not exist.")
    opened = _opened(place, settings)
    log.info("classifier.loaded", file=str(place), labels=opened.labels)
    return opened


def _opened(place: Path, settings: Settings) -> Classifier:
    if place.suffix.lower() == _ONNX:
        from worker.safety.onnx_file import OnnxFile

        return OnnxFile.open(place)
    if not place.is_dir():
        raise ConfigurationError(
            f"LATENTRY_CLASSIFIER: {place} is neither an .onnx file nor a folder with Stable"
            " Diffusion's safety checker."
        )
    # Imported here: a simulation needs no torch on its machine.
    from worker.engine.device import Device
    from worker.safety.clip_checker import ClipChecker

    return ClipChecker.open(place, Device.choose(settings.device, settings.dtype))


def with_labels(cards: Iterable[C], labels: tuple[str, ...]) -> list[C]:
    """The cards with what this worker's classifier scores pictures for."""
    return [card.model_copy(update={"safety_labels": labels}) for card in cards]
