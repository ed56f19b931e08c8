"""Environment variables that the C libraries beneath torch read as the worker process starts."""

from collections.abc import Mapping
from typing import Final

# glibc: memory that a UNet call frees stays in the process for the next call. Otherwise each call
# returns tens of megabytes to the system and gets them back zeroed, page by page
# (docs/performance.md has what that costs).
_DEFAULTS: Final = {
    "MALLOC_TRIM_THRESHOLD_": str(512 * 2**20),
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),  # the largest value that it accepts
}


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """`env` with our defaults where it sets nothing."""
    return _DEFAULTS | dict(env)
