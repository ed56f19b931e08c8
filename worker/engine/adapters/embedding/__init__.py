"""Embeddings (textual inversion): vectors that stand in a prompt where their name does."""
