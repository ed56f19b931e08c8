"""Process supervision, with real processes and real signals."""
