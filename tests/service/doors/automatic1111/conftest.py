"""What a job of AUTOMATIC1111's door was, and pictures to send."""

import base64
from collections.abc import Callable

import pytest

from latentry.contracts import ResolvedRequest
from latentry.ledger import JobRecord, Ledger, commands
from tests.hostile.pictures import encoded


@pytest.fixture
def jobs(ledger: Ledger) -> Callable[[], list[JobRecord]]:
    """All jobs, the newest first."""
    return lambda: ledger.run(commands.list_jobs("default", below=None, limit=20))


@pytest.fixture
def made(jobs) -> Callable[[], ResolvedRequest]:
    """The newest job's request."""
    return lambda: jobs()[0].request


@pytest.fixture
def photo() -> str:
    """A picture as bare base64."""
    return base64.b64encode(encoded("PNG", size=(160, 96))).decode()
