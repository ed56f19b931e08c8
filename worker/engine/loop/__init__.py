"""The step loop over an abstract `Backend`, and its messages. No torch here."""

from worker.engine.inputs.canvas import Pixels
from worker.engine.loop.backend import Backend
from worker.engine.loop.engine import Engine
from worker.engine.loop.messages import (
    BackgroundOrder,
    Canceled,
    Done,
    Event,
    Failed,
    Intermediate,
    Joined,
    LoadedAdapter,
    Order,
    Preview,
    Saved,
    Step,
    StepTiming,
    Towards,
)

__all__ = [
    "Backend",
    "BackgroundOrder",
    "Canceled",
    "Done",
    "Engine",
    "Event",
    "Failed",
    "Intermediate",
    "Joined",
    "LoadedAdapter",
    "Order",
    "Pixels",
    "Preview",
    "Saved",
    "Step",
    "StepTiming",
    "Towards",
]
