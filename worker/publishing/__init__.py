"""Finished pictures: encoded, stored, listed."""
