"""What gateway and worker must agree on: limits, pricing and the prompt syntax. Pure functions."""
