"""Where and with what a run was made."""

import os
import platform
import subprocess
import time
from typing import Any


def where() -> dict[str, Any]:
    """Date, machine, precision, threads and commit, for the first line of a report."""
    import torch

    from benchmarks.contenders.stock import dtype

    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "at": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{platform.machine()} with {os.cpu_count()} CPUs",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "dtype": str(dtype()).removeprefix("torch."),
        "commit": commit.stdout.strip() or "unknown",
    }
