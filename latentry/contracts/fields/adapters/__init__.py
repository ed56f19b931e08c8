"""Adapters that a request names, a module a kind."""
