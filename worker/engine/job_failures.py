"""Which errors of libraries fail one picture, and which end the process. Without torch itself."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from latentry.errors import EngineError, LatentryError, OutOfMemory

log = structlog.get_logger()


@contextmanager
def as_job_failed() -> Iterator[None]:
    """Raise whatever a library raises as a JobFailed, except what leaves the device unusable."""
    try:
        yield
    except (LatentryError, *_of_torch("AcceleratorError")):
        # After any other CUDA error every later call fails too: the process ends with code 70.
        raise
    except (MemoryError, *_of_torch("OutOfMemoryError")) as error:
        raise OutOfMemory from error
    except Exception as error:
        log.exception("engine.call_failed")
        raise EngineError(f"The engine failed on this picture ({type(error).__name__}).") from error


def _of_torch(name: str) -> tuple[type[Exception], ...]:
    """An error of torch's: what is not imported has raised none, and a simulation has no torch."""
    torch = sys.modules.get("torch")
    return () if torch is None else (getattr(torch, name),)
