"""Imports of large libraries, which leave half a million objects and little garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Collect no garbage while libraries are imported, and never look at what they left again.

    Collections in between take a sixth of the time that torch, diffusers and transformers need.
    Later ones, between two steps, would go through all that stays for the process's life.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
