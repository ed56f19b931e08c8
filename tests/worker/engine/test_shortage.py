"""What a machine lacks is not the fault of a model's files, nor of a picture."""

import errno
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from latentry.errors import ConfigurationError, OutOfMemory, Unavailable
from worker.engine.job_failures import as_job_failed
from worker.engine.models.loading.loading import as_configuration_error
from worker.engine.models.sources.json_file import read_json
from worker.engine.models.weights import stored_in

TOO_MANY_BYTES = 2**56


def refused(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), "memory"),
        (refused(errno.ENOMEM), "memory"),
        (refused(errno.EMFILE), "file descriptors"),
        (refused(errno.ENFILE), "file descriptors"),
        (refused(errno.ENOSPC), "disk space"),
    ],
)
def test_what_a_machine_lacks_is_said_and_may_pass(error: Exception, what: str) -> None:
    lacks = pytest.raises(Unavailable, match=f"enough {what} to load pen")
    with lacks, as_configuration_error("pen"):
        raise error


@pytest.mark.parametrize("read", [stored_in, read_json])
def test_nor_is_a_file_blamed_by_those_who_read_it(
    read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise refused(errno.EMFILE)

    monkeypatch.setattr(Path, "open", fail)
    monkeypatch.setattr(Path, "read_text", fail)
    with pytest.raises(Unavailable, match="file descriptors"), as_configuration_error("pen"):
        read(tmp_path / "file")


def test_too_little_memory_for_torch_on_the_cpu_is_that() -> None:
    with pytest.raises(Unavailable, match="enough memory"), as_configuration_error("pen"):
        torch.empty(TOO_MANY_BYTES, dtype=torch.uint8)
    with pytest.raises(OutOfMemory), as_job_failed():
        torch.empty(TOO_MANY_BYTES, dtype=torch.uint8)


@pytest.mark.parametrize("error", [ValueError("odd"), refused(errno.EACCES), KeyError("unet")])
def test_files_are_to_blame_for_all_else(error: Exception) -> None:
    unusable = pytest.raises(ConfigurationError, match="The files of pen are not usable")
    with unusable, as_configuration_error("pen"):
        raise error


def test_a_picture_for_which_there_is_no_memory_stays_one() -> None:
    with pytest.raises(OutOfMemory), as_configuration_error("pen"), as_job_failed():
        raise MemoryError
