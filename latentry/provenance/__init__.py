"""What a picture says of itself: written by the worker, readable by the gateway."""
