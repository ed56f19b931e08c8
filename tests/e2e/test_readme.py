"""The commands and snippets of the README work."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import Stack

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_snippets_run(code: str, stack: Stack, tmp_path: Path) -> None:
    code = code.replace("http://127.0.0.1:8000", stack.url)
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True)


def test_the_shell_commands_run(stack: Stack, tmp_path: Path) -> None:
    [block] = [block for block in blocks("") if "curl" in block]
    text = block.replace("http://127.0.0.1:8000", stack.url).replace("\\\n", " ")
    commands = [shlex.split(line, comments=True) for line in text.splitlines() if line]
    curl, *generating = commands
    answer = subprocess.run(curl, check=True, capture_output=True, text=True)
    assert '"status":"succeeded"' in answer.stdout
    for generate in generating:
        command = [sys.executable, "-m", "latentry", *generate[1:], "--url", stack.url]
        subprocess.run(command, check=True, cwd=tmp_path)
        assert (tmp_path / generate[-1]).read_bytes().startswith(b"\x89PNG")


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
