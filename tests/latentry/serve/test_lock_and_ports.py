"""A data folder and ports that cannot be had are told by what to set."""

import errno
import fcntl
from pathlib import Path

import pytest

from latentry.errors import ConfigurationError
from latentry.serve.lock import locked
from latentry.serve.ports import check_ports
from latentry.settings import Settings


async def test_a_folder_without_locks_is_not_taken_for_another_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(ConfigurationError, match="No locks available"):
        async with locked(tmp_path):
            pass


async def test_a_data_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigurationError, match="set LATENTRY_DATA_DIR to another folder"):
        async with locked(tmp_path / "data"):
            pass


def test_workers_whose_ports_would_be_beyond_the_last_one_are_told() -> None:
    settings = Settings(port=0, workers=2, worker_metrics_port=65535)
    with pytest.raises(ConfigurationError, match="Port 65536 does not exist: LATENTRY_WORKER_METR"):
        check_ports(settings)
