"""The gateway's fixtures; hostile callers use the same doors as all others."""

from tests.service.conftest import app, client, settings, url, worker

__all__ = ["app", "client", "settings", "url", "worker"]
