"""Real processes, the bundled model, real clients."""
