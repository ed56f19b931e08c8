"""Measurements on a CUDA device, with random weights in the published architectures."""
