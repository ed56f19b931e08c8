"""Pure policy: which orders join, and which images share the next UNet call."""

from worker.batching.background import BackgroundShare
from worker.batching.call_costs import LONE_ROWS, Costs
from worker.batching.key import BatchKey
from worker.batching.overhead import Overhead
from worker.batching.policy import Batch, Candidate, next_batch, next_to_join, room
from worker.batching.probes import Probes

__all__ = [
    "LONE_ROWS",
    "BackgroundShare",
    "Batch",
    "BatchKey",
    "Candidate",
    "Costs",
    "Overhead",
    "Probes",
    "next_batch",
    "next_to_join",
    "room",
]
