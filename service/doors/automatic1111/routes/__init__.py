"""AUTOMATIC1111's routes."""
