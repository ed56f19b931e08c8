"""What `make setup` says where it cannot work."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "deploy" / "setup.sh"


def test_a_python_that_is_too_old_is_reported_with_what_to_do(tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    env = os.environ | {"PYTHON": str(old)}
    ended = subprocess.run(
        ["sh", str(SCRIPT)], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "latentry needs Python 3.11 or later. Install it, or set its path: "
        "make setup PYTHON=/path/to/python3\n"
    )
