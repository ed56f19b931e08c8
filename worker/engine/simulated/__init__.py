"""A backend that computes nothing: a clock that charges for calls by a table of costs. No torch."""

from worker.engine.simulated.backend import Simulated, SimulatedTrajectory
from worker.engine.simulated.charge import Charge
from worker.engine.simulated.clocks import Clock, VirtualClock, WallClock
from worker.engine.simulated.example import VAE_FACTOR

__all__ = [
    "VAE_FACTOR",
    "Charge",
    "Clock",
    "Simulated",
    "SimulatedTrajectory",
    "VirtualClock",
    "WallClock",
]
