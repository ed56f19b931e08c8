"""Finished pictures: encoded, stored, listed, and their jobs settled."""
