"""Tests mirror the rooms; names are sentences."""
