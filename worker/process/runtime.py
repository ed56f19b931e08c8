"""What the C libraries beneath torch read from the environment, before a process of ours starts."""

from collections.abc import Mapping
from typing import Final

# glibc: what a call frees stays for the next one. Else each gives tens of megabytes back to the
# system, and has them zeroed again page by page (docs/performance.md has what that costs).
_CHOSEN: Final = {
    "MALLOC_TRIM_THRESHOLD_": str(512 * 2**20),
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),  # the most it takes
}


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """`env` with our choices where it has none of its own."""
    return _CHOSEN | dict(env)
