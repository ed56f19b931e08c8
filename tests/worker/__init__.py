"""The worker around its engine."""
