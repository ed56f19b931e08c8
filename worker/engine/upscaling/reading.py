"""spandrel's reading of networks: their architecture, scale and purpose, by their weights' names.

spandrel imports torchvision for two of its architectures, which are refused here. One that was
built for another torch, as PyPI's beside a CPU build, cannot be imported; that must not keep all
other networks away.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, Final

import structlog
import torch

from latentry.errors import ConfigurationError

log = structlog.get_logger()

_STAND_INS: Final = (
    *("torchvision", "torchvision.transforms", "torchvision.transforms.functional"),
)
_WANTED: Final = ("normalize", "rotate", "InterpolationMode")


def read_network(where: str, weights: Mapping[str, torch.Tensor]) -> Any:
    """spandrel's descriptor of the network that has these weights. Raises ConfigurationError."""
    spandrel = _spandrel()
    try:
        return spandrel.ModelLoader().load_from_state_dict(dict(weights))
    except spandrel.UnsupportedModelError:
        raise ConfigurationError(
            f"{where} is no super-resolution network of an architecture that spandrel knows."
        ) from None


def spandrel_version() -> str:
    """Its version: what it makes of a file may change with it."""
    return str(_spandrel().__version__)


@cache
def _spandrel() -> Any:
    try:
        with _torchvision():
            import spandrel
    except ImportError as error:
        why = "Upscalers other than lanczos need spandrel: pip install 'latentry[upscale]'."
        raise ConfigurationError(f"{why} ({error})") from None
    return spandrel


@contextmanager
def _torchvision() -> Iterator[None]:
    """Let torchvision be importable meanwhile: itself, or the names that are taken from it."""
    try:
        import torchvision.transforms.functional  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        log.info("torchvision.unusable", why=type(error).__name__)
    else:
        yield
        return
    modules = {name: ModuleType(name) for name in _STAND_INS}
    functional = modules[_STAND_INS[-1]]
    for name in _WANTED:
        setattr(functional, name, None)
    kept = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in kept.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module
