"""The resident models and the step loop: the only room where torch lives.

What is exported here needs no torch: the loop over an abstract `Backend`, and its messages. The
torch backend is `worker.engine.diffusion`.
"""

from worker.engine.backend import Backend
from worker.engine.engine import Engine
from worker.engine.messages import (
    Canceled,
    Done,
    Event,
    Failed,
    Joined,
    Order,
    Pace,
    Pixels,
    Preview,
    Saved,
    Step,
)

__all__ = [
    "Backend",
    "Canceled",
    "Done",
    "Engine",
    "Event",
    "Failed",
    "Joined",
    "Order",
    "Pace",
    "Pixels",
    "Preview",
    "Saved",
    "Step",
]
