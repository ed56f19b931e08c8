"""Jobs as the gateway sees them: admitted, listed, followed, signalled."""
