"""A backend that computes nothing: a clock that charges for calls by a table of costs. No torch."""

from worker.engine.simulated.backend import VAE_FACTOR, Simulated, SimulatedTrajectory
from worker.engine.simulated.charge import Charge
from worker.engine.simulated.clocks import Clock, VirtualClock, WallClock

__all__ = [
    "VAE_FACTOR",
    "Charge",
    "Clock",
    "Simulated",
    "SimulatedTrajectory",
    "VirtualClock",
    "WallClock",
]
