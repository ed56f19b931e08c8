"""Adapters: files that change a model for some rows, one folder a kind, and their memory."""
