"""What there is to name in a request."""
