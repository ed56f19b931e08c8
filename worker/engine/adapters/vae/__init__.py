"""VAEs that requests name instead of their model's own."""
