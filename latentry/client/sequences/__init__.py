"""Keyword arguments of requests for pictures that belong in a sequence."""
