"""The gateway's fixtures; hostile callers use the same doors as all others."""

import pytest

from latentry.contracts import UpscalerCard
from latentry.ledger import Ledger, commands
from tests.service.conftest import app, client, settings, url
from tests.service.conftest import worker as serving
from tests.service.fake import FakeWorker

__all__ = ["app", "client", "serving", "settings", "url"]


@pytest.fixture
def worker(serving: FakeWorker, ledger: Ledger) -> FakeWorker:
    """It has an upscaler too, as every worker has."""
    card = UpscalerCard(
        id="lanczos", architecture="Lanczos", scale=8.0, default_scale=2.0, created=1_790_000_000
    )
    ledger.run(commands.register_model(card))
    return serving
