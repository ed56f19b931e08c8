"""Denoising in torch: trajectories, their steps, checkpoints and profiles. Implements `Backend`."""
