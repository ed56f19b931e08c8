"""Replicate's door, through Replicate's own client and through what it sends."""
