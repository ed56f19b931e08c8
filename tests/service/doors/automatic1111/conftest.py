"""What a job of AUTOMATIC1111's door was, and pictures to send."""

import base64

import pytest

from tests.hostile.pictures import encoded


@pytest.fixture
def photo() -> str:
    """A picture as bare base64."""
    return base64.b64encode(encoded("PNG", size=(160, 96))).decode()
