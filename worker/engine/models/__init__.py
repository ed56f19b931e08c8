"""Models from their files into memory."""
