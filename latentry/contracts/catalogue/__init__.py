"""What the service has: models, adapters, styles."""
