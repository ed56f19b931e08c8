"""The snippets of docs/sdk.md run, on a gateway with a fake worker."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from latentry import Client
from latentry.ledger import Ledger, commands
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker

PAGE = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text()


@pytest.mark.parametrize(
    "code", re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
)
def test_the_snippets_run(
    code: str, url: str, ledger: Ledger, worker: FakeWorker, tmp_path: Path
) -> None:
    limits = card().limits.model_copy(update={"previews": True})
    ledger.run(commands.register_model(card().model_copy(update={"limits": limits})))
    code = code.replace("http://127.0.0.1:8000", url)
    with worker:
        subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True)


def test_every_method_of_the_client_that_is_named_exists() -> None:
    named = set(re.findall(r"client\.(\w+)\(", PAGE))
    assert len(named) > 10
    assert [name for name in named if not hasattr(Client, name)] == []
