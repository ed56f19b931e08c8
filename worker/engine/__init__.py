"""The resident CLIP/UNet/VAE stack and its step loop: the only room where torch lives."""

from worker.engine.engine import Engine
from worker.engine.messages import Canceled, Done, Event, Failed, Order, Pace, Pixels, Step

__all__ = ["Canceled", "Done", "Engine", "Event", "Failed", "Order", "Pace", "Pixels", "Step"]
