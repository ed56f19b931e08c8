"""docs/webhooks.md is true: its receiver runs, and its secret is the one that signs."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from latentry.ledger import Ledger, deliveries
from latentry.settings import Settings
from service.webhooks.schedule import PAUSES_S
from tests.e2e.processes import until
from tests.service.fake import FakeWorker
from tests.valkey import free_port

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def settings(settings: Settings, port: int) -> Settings:
    return settings.model_copy(update={"webhook_allow": f"127.0.0.1:{port}"})


@pytest.fixture
def said(port: int, ledger: Ledger) -> Iterator[list[str]]:
    """What the page's receiver prints."""
    secret, code = deliveries.new_secret(), PAGE.split("```python\n")[1].split("```")[0]
    ledger.run(deliveries.rotate_secret("default", secret, keep_s=0))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"WEBHOOK_SECRET": secret, "PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout))
    reader.start()
    until(lambda: answers(port), 20, "the receiver being there")
    yield lines
    process.kill()
    process.wait()
    reader.join()
    process.stdout.close()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/").status_code == 501
    except httpx.TransportError:
        return False


def test_its_receiver_takes_what_we_sign_and_nothing_else(
    url: str, said: list[str], port: int, worker: FakeWorker
) -> None:
    receiver = f"http://127.0.0.1:{port}/"
    forged = {"webhook-id": "evt_0", "webhook-timestamp": "0", "webhook-signature": "v1,AAAA"}
    assert httpx.post(receiver, content=b"{}", headers=forged).status_code == 401
    body = {"prompt": "a red circle", "webhook": {"url": receiver}}
    answer = httpx.post(f"{url}/v1/generations", json=body)
    assert answer.status_code == 202
    worker.finish(worker.claim())
    until(lambda: said, 20, "the notice")
    log = httpx.get(f"{url}/v1/generations/{answer.json()['id']}/deliveries").json()["data"]
    assert said == [f"{log[0]['id']} generation.succeeded\n"]


def test_it_names_the_schedule() -> None:
    words = {5: "5 s", 300: "5 min", 1800: "30 min"} | {3600 * h: f"{h} h" for h in range(2, 25)}
    pauses = ", ".join(words[pause] for pause in PAUSES_S[:-1]) + f" and {words[PAUSES_S[-1]]}"
    assert pauses in PAGE
