"""The fake service, and the document that it is held to."""

import json
from pathlib import Path

import pytest

from latentry.testing import FakeService
from tools.pages.native_api import native_part

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())


@pytest.fixture
def fake():
    return FakeService()


@pytest.fixture(scope="session")
def native():
    """The part of the API document that is the native door's."""
    return native_part(DOCUMENT)
