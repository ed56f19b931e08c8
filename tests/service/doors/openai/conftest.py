"""OpenAI's own client, and what a job of it was."""

from collections.abc import Callable, Iterator

import openai
import pytest

from latentry.contracts import ModelCard, ResolvedRequest
from latentry.ledger import JobRecord, Ledger, commands
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker


@pytest.fixture
def sdk(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def jobs(ledger: Ledger) -> Callable[[], list[JobRecord]]:
    """All jobs, the newest first."""
    return lambda: ledger.run(commands.list_jobs("default", below=None, limit=20))


@pytest.fixture
def made(jobs) -> Callable[[], ResolvedRequest]:
    """The newest job's request."""
    return lambda: jobs()[0].request


@pytest.fixture
def showing(worker: FakeWorker, ledger: Ledger) -> ModelCard:
    """The model shows images on their way."""
    plain = card()
    able = plain.model_copy(update={"limits": plain.limits.model_copy(update={"previews": True})})
    ledger.run(commands.register_model(able))
    return able
