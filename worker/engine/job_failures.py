"""Which of torch's errors fail one picture, and which end the process."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import torch

from latentry.errors import EngineError, LatentryError, OutOfMemory

log = structlog.get_logger()


@contextmanager
def as_job_failed() -> Iterator[None]:
    """Raise whatever torch raises as a JobFailed, except what leaves the device unusable."""
    try:
        yield
    except (LatentryError, torch.AcceleratorError):
        # After any other CUDA error every later call fails too: the process ends with code 70.
        raise
    except torch.OutOfMemoryError as error:
        raise OutOfMemory from error
    except Exception as error:
        log.exception("engine.call_failed")
        raise EngineError(f"The engine failed on this picture ({type(error).__name__}).") from error
