"""LoRA: files of low-rank terms, what they fit, and whose rows they are for."""
