"""The two applications, found by name and never imported."""

import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

from latentry.errors import ConfigurationError
from latentry.settings import Settings

ROOMS: Final = ("service", "worker")


def command(room: str) -> tuple[str, ...]:
    """What starts a room."""
    return (sys.executable, "-m", room)


def check_rooms(settings: Settings) -> None:
    """Raises ConfigurationError with what to do when a room or a model is not here."""
    # `python -m` looks in the working directory first; the command's own path may not hold it.
    path = [str(Path.cwd()), *sys.path]
    if not all(PathFinder.find_spec(room, path) for room in ROOMS):
        raise ConfigurationError(
            "The service and the worker are not here: `latentry serve` runs from a checkout of "
            "the repository or from its container image. The pip package is the client alone."
        )
    for model, source in settings.model_sources.items():
        if isinstance(source, Path) and not source.exists():
            raise ConfigurationError(
                f"The model {model} should lie in {source}, and nothing is there. "
                "Run from the checkout, or set LATENTRY_MODELS to id=source."
            )
