"""The worker as a process: its parent, its signs of life, its environment."""
