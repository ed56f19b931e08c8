"""One training in several processes, whose gradients `loop.train` averages.

On a machine that is not idle, threads of one process wait for each other at every operation,
processes only once a step: processes were four times as fast.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.multiprocessing.spawn import spawn

from tools.training import checkpoints


def spread(name: str, workers: int, work: Callable[[], None]) -> None:
    """Do the same in that many processes, each on a thread of its own; `work` can be pickled."""
    (checkpoints.RUNS / f"rendezvous-{name}").unlink(missing_ok=True)
    spawn(_one, (name, workers, work), nprocs=workers)  # type: ignore[no-untyped-call]


def _one(rank: int, name: str, workers: int, work: Callable[[], None]) -> None:
    torch.set_num_threads(1)
    meeting = checkpoints.RUNS / f"rendezvous-{name}"
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting.resolve()}", rank=rank, world_size=workers
    )
    work()
    torch.distributed.destroy_process_group()
