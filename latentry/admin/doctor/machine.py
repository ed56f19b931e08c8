"""The machine: model files, what computes, ports."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from latentry.cli.doctor.findings import Finding, fault, ok, warning
from latentry.errors import ConfigurationError
from latentry.serve.ports import check_ports
from latentry.settings import Settings
from latentry.sources import Simulation

# torch is the worker's alone: another process looks.
_TORCH: Final = """
import json, torch
count = torch.cuda.device_count() if torch.cuda.is_available() else 0
gpus = [torch.cuda.get_device_properties(number) for number in range(count)]
print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(),
    "gpus": [[one.name, one.total_memory] for one in gpus]}))
"""
_TORCH_S: Final = 120


def models(settings: Settings) -> Iterator[Finding]:
    """Whether each model's files are where they should be."""
    for model, source in settings.model_sources.items():
        if not isinstance(source, Path):
            what = "simulated" if isinstance(source, Simulation) else source
            yield ok("models", f"{model} is {what}.")
        elif source.exists():
            yield ok("models", f"{model} is at {source}.")
        else:
            yield fault(
                "models",
                f"{model} was not found at {source}: run from the checkout, or set LATENTRY_MODELS"
                " to id=path.",
            )


def device(settings: Settings) -> Finding:
    """What the worker would compute on."""
    found = _torch()
    if found is None:
        return warning("device", "unknown: torch cannot be imported here, so no worker can run.")
    gpus: list[tuple[str, int]] = found["gpus"]
    wanted = settings.device
    if wanted.startswith("cuda") and not gpus:
        return fault(
            "device",
            f"LATENTRY_DEVICE is {wanted}, but torch {found['torch']} sees no GPU: check the driver"
            " (nvidia-smi), or install a torch with CUDA.",
        )
    if gpus and wanted != "cpu":
        named = ", ".join(f"{name} with {size / 1024**3:.0f} GiB" for name, size in gpus)
        return ok("device", f"{named}, torch {found['torch']}.")
    return ok("device", f"CPU with {found['threads']} threads, torch {found['torch']}.")


def ports(settings: Settings, *, is_running: bool) -> Finding:
    """Whether a service could listen. is_running: it does already."""
    if is_running:
        return ok("ports", f"{settings.port} on {settings.host} is the running service's.")
    try:
        check_ports(settings)
    except ConfigurationError as error:
        return fault("ports", error.message)
    return ok("ports", f"{settings.port} on {settings.host} is free.")


def _torch() -> dict[str, Any] | None:
    try:
        asked = subprocess.run(  # noqa: S603 - a constant
            [sys.executable, "-c", _TORCH], capture_output=True, timeout=_TORCH_S, check=True
        )
        found: dict[str, Any] = json.loads(asked.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return found
