"""OpenAI's own client, and what a job of it was."""

from collections.abc import Iterator

import openai
import pytest

from latentry.contracts import ModelCard
from latentry.ledger import Ledger, commands
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker


@pytest.fixture
def sdk(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def showing(worker: FakeWorker, ledger: Ledger) -> ModelCard:
    """The model shows images on their way."""
    plain = card()
    able = plain.model_copy(update={"limits": plain.limits.model_copy(update={"previews": True})})
    ledger.run(commands.register_model(able))
    return able
