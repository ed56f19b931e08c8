"""Where models come from: a folder, a single file, a hub."""
