"""Who shares the next UNet call: values in, values out, no tensors and no clock of its own."""

from worker.batching.policy import Batch, BatchKey, Candidate, next_batch

__all__ = ["Batch", "BatchKey", "Candidate", "next_batch"]
