"""Where models come from: a folder in diffusers layout, a single file, a hub."""
