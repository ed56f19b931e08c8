"""An operator's commands in this process: an interpreter of their own takes a second to start."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from latentry.admin.__main__ import main

Operator = Callable[..., subprocess.CompletedProcess[str]]


def operator(folder: Path, capsys: pytest.CaptureFixture[str], env: Mapping[str, str]) -> Operator:
    """Runs `latentry keys …` and the like as `python -m latentry.admin` does; gives what ended."""

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        status = 0
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (dict(env) | more).items():
                patch.setenv(name, value)
            patch.chdir(folder)
            patch.setattr(sys, "argv", ["latentry", *words])
            try:
                main()
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 0
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, status, said.out, said.err)

    return run
