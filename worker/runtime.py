"""What the C libraries beneath torch read from the environment, before a process of ours starts."""

from collections.abc import Mapping
from typing import Final

# Measured with the bundled model on two cores: docs/performance.md, "What pushed the limit".
_CHOSEN: Final = {
    # glibc: what a call frees stays for the next one. Else each gives tens of megabytes back to
    # the system, and has them zeroed again, page by page.
    "MALLOC_TRIM_THRESHOLD_": str(512 * 2**20),
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),  # the most it takes
    # libgomp: a thread whose partner lost its core to the gateway waits for it about a millisecond
    # and then gives its own core away. By default it spins until the partner is back.
    "GOMP_SPINCOUNT": "20000",
}


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """`env` with our choices where it has none of its own."""
    return _CHOSEN | dict(env)
