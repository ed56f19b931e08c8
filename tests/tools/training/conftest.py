from pathlib import Path

import pytest

from tools.training import checkpoints


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Checkpoints of these tests alone."""
    monkeypatch.setattr(checkpoints, "RUNS", tmp_path / "runs")
    return tmp_path / "runs"
