"""LoRA files: which there are, whether they fit a model, and their layers in memory."""
