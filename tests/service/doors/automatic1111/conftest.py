"""What a job of AUTOMATIC1111's door was, and pictures to send."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from latentry.api_keys import ApiKey
from latentry.contracts import Preprocess, PreprocessorsCard
from latentry.ledger import Ledger, commands
from tests.hostile.pictures import encoded
from tests.service.keys import issue

TXT2IMG, PROGRESS = "/sdapi/v1/txt2img", "/sdapi/v1/progress"
TASK, PENDING = "/internal/progress", "/internal/pending-tasks"
IDLE = {"progress": 0, "eta_relative": 0}


def basic(key: ApiKey, name: str = "any") -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{key.text}'.encode()).decode()}"}


async def settled(client, headers: dict[str, str], count: int) -> dict[str, Any]:
    """The progress once so many jobs are known."""
    while True:
        found = (await client.get(PROGRESS, headers=headers)).json()
        if found["state"]["job_count"] == count:
            return found


@pytest.fixture
def preprocessors(worker) -> None:
    """A live worker that has all of them."""
    card = PreprocessorsCard(preprocessors=tuple(Preprocess))
    worker.queues = [card.queue]
    worker.ledger.run(commands.heartbeat("fake", worker.queues, ttl_s=60))
    worker.ledger.run(commands.register_model(card))


@pytest.fixture
def photo() -> str:
    """A picture as bare base64."""
    return base64.b64encode(encoded("PNG", size=(160, 96))).decode()


@pytest.fixture
def keys(ledger: Ledger) -> list[dict[str, str]]:
    """Headers of two keys of one tenant, and of one of another."""
    return [basic(issue(ledger, tenant)) for tenant in ("acme", "acme", "other")]


@pytest.fixture
async def drawing(client) -> AsyncIterator[Callable[..., asyncio.Task[httpx.Response]]]:
    """Begins requests that end with the test."""
    running = []

    def begin(headers: dict[str, str], **fields: Any) -> asyncio.Task[httpx.Response]:
        body = {"prompt": "a", "steps": 4} | fields
        running.append(asyncio.create_task(client.post(TXT2IMG, json=body, headers=headers)))
        return running[-1]

    yield begin
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
