"""Requests for pictures that belong in a sequence."""
