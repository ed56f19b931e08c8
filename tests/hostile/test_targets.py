"""What is fuzzed by `make fuzz`, here with the seeds and with whatever was ever found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.targets import TARGETS, WORDS, seeds

CORPUS = Path(__file__).parent / "corpus"
FUZZ_S = int(os.environ.get("FUZZ_S", "300"))


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_and_what_was_found_before_break_nothing(target: str) -> None:
    found = sorted((CORPUS / target).glob("*"))
    for data in (*seeds(target), *(path.read_bytes() for path in found)):
        TARGETS[target](data)
        for end in range(0, len(data), 7):
            TARGETS[target](data[:end])
    assert WORDS.keys() == TARGETS.keys()


@pytest.mark.fuzz
@pytest.mark.timeout(2 * FUZZ_S + 60)
@pytest.mark.parametrize("target", TARGETS)
def test_a_search_by_coverage_finds_nothing(target: str) -> None:
    pytest.importorskip("atheris", reason="it has wheels for Linux on x86-64")
    command = [sys.executable, "-m", "tests.hostile.fuzzing", target, str(FUZZ_S)]
    ended = subprocess.run(command, capture_output=True, text=True)
    print(ended.stderr.splitlines()[-1])
    assert ended.returncode == 0, ended.stderr[-4_000:]
