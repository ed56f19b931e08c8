"""`/v1/verify`."""
