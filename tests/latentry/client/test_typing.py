"""What a user's type checker sees of the installed package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import numpy

from latentry import AsyncClient, Client

with Client() as client:
    reveal_type(client.generate("a frog").images[0].url)
    reveal_type([job.done for job in client.list()])
    reveal_type(client.map(["a frog"])[0])
    reveal_type(next(client.stream("a frog")).preview)
    client.generate(image=numpy.zeros((8, 8, 3), numpy.uint8))
    client.generate("a frog", seed="seven")
"""
RESULT = "latentry.client.results.Job | latentry.errors.base.LatentryError"
SEEN = ("str", "list[bool]", RESULT, "latentry.client.results.Preview | None")


@pytest.mark.slow
def test_a_type_checker_reads_the_types_of_the_package(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "mypy.ini").touch()
    # A package on the path of the interpreter counts as installed: without `py.typed` it is Any.
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "program.py"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert [line for line in checked.stdout.splitlines() if "import-untyped" in line] == []
    for seen in SEEN:
        assert f'Revealed type is "{seen}"' in checked.stdout
    assert 'Argument "seed" to "generate"' in checked.stdout
    assert 'Argument "image"' not in checked.stdout
