"""The load: seeded requests, the loops that send them, and the figures that follow."""
