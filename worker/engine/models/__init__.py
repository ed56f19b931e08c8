"""Models: from their files into memory, and out of it."""
