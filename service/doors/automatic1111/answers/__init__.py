"""Answers as AUTOMATIC1111's API gives them."""
