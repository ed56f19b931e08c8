"""The gateway: HTTP to jobs and back. Never imports torch."""
