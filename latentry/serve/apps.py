"""The two applications, started by module name and never imported."""

import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

from latentry.errors import ConfigurationError
from latentry.settings import Settings

APPS: Final = ("service", "worker")


def command(app: str) -> tuple[str, ...]:
    """The command line of an application."""
    return (sys.executable, "-m", app)


def check_apps(settings: Settings) -> None:
    """Raises ConfigurationError if an application or a model is missing, with what to do."""
    # `python -m` searches the working directory first, which this process may not have on its path.
    path = [str(Path.cwd()), *sys.path]
    if not all(PathFinder.find_spec(app, path) for app in APPS):
        raise ConfigurationError(
            "The service and the worker are not installed: `latentry serve` runs from a checkout "
            "of the repository or from its container image. The pip package is the client only."
        )
    for model, source in settings.model_sources.items():
        if isinstance(source, Path) and not source.exists():
            raise ConfigurationError(
                f"The model {model} was not found at {source}. "
                "Run from the checkout, or set LATENTRY_MODELS to id=source."
            )
    for folder in settings.model_folders:
        if not folder.exists():
            raise ConfigurationError(f"LATENTRY_MODELS names {folder}, which does not exist.")
