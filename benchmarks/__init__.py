"""Measurements: ratios from one run, side by side. Never assertions in tests."""
