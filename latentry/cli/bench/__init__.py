"""`latentry bench`: load on a running service, and what it did under it."""
