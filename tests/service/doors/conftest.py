"""What became of a call: the jobs that there are."""

from collections.abc import Callable

import pytest

from latentry.contracts import ResolvedRequest
from latentry.ledger import JobRecord, Ledger, commands


@pytest.fixture
def jobs(ledger: Ledger) -> Callable[[], list[JobRecord]]:
    """All jobs, the newest first."""
    return lambda: ledger.run(commands.list_jobs("default", below=None, limit=20))


@pytest.fixture
def made(jobs) -> Callable[[], ResolvedRequest]:
    """The newest job's request."""
    return lambda: jobs()[0].request
