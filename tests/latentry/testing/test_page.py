"""The examples of docs/testing.md run."""

import re
import subprocess
import sys
from pathlib import Path

from latentry.testing import FakeService

PAGE = (Path(__file__).parents[3] / "docs" / "testing.md").read_text()
SCRIPT, TESTS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def run(*arguments: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_program_runs(tmp_path):
    printed = run("-W", "error", "-c", SCRIPT, cwd=tmp_path)
    assert "out_of_memory" in printed
    assert "['create_generation'" in printed


def test_the_tests_pass(tmp_path):
    (tmp_path / "test_banner.py").write_text(TESTS)
    options = ("-p", "no:schemathesis", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto")
    assert "2 passed" in run("-m", "pytest", *options, "--rootdir", ".", cwd=tmp_path)


def test_every_method_that_is_named_exists():
    named = set(re.findall(r"fake\.(\w+)\(", PAGE))
    assert len(named) > 5
    assert [name for name in named if not hasattr(FakeService, name)] == []
