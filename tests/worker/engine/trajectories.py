"""Trajectories of the real backend, without an engine around them."""

import torch

from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.trajectory import Trajectory
from worker.engine.loop import Order


def begun(backend: Diffusion, order: Order) -> Trajectory:
    """Before its first call."""
    return backend.begin(order, backend.plan(order))[0]


def drawn(backend: Diffusion, one: Trajectory) -> torch.Tensor:
    """Its latent after all calls that are left, made alone."""
    while one.calls_left:
        backend.advance([one], one.key.bucket or one.rows)
    return one.latent
