"""Which errors of libraries fail one picture, and which end the process. Without torch itself."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from latentry.errors import EngineError, LatentryError, OutOfMemory
from worker.engine.shortage import is_out_of_memory

log = structlog.get_logger()


@contextmanager
def as_job_failed() -> Iterator[None]:
    """Raise whatever a library raises as a JobFailed, except what leaves the device unusable."""
    try:
        yield
    except LatentryError:
        raise
    except Exception as error:
        if _is_torchs(error, "AcceleratorError"):
            # After any other CUDA error every later call fails too: the process ends with code 70.
            raise
        if is_out_of_memory(error) or _is_torchs(error, "OutOfMemoryError"):
            raise OutOfMemory from error
        log.exception("engine.call_failed")
        raise EngineError(f"The engine failed on this picture ({type(error).__name__}).") from error


def _is_torchs(error: Exception, name: str) -> bool:
    """What is not imported has raised nothing, and a simulation has no torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, getattr(torch, name))
