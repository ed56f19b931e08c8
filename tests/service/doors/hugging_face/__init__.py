"""Hugging Face's door, through its own client and through what it sends."""
