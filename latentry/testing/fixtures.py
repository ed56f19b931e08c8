"""A fixture for pytest: `from latentry.testing.fixtures import latentry_service` in a conftest."""

import pytest

from latentry.testing.service import FakeService


@pytest.fixture
def latentry_service() -> FakeService:
    """A fake service for one test."""
    return FakeService()
