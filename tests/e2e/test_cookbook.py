"""Every block of docs/cookbook.md runs, recipe by recipe, on one service of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.conftest import settings_for
from tests.e2e.processes import Stack
from tests.valkey import Valkey, free_port

PAGE = (Path(__file__).parents[2] / "docs" / "cookbook.md").read_text()
RECIPES = re.findall(r"^## (\d+\. .*?)$(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# What each leaves behind.
MADE = {
    "1": ["avatar-ada.png", "avatar-grace.png"],
    "2": ["product.png", "mask.png", "shot.png"],
    "4": ["bulk-1.png", "bulk-2.png", "bulk-3.png"],
    "5": ["star.png", "star-4x.png", "star-hires.png"],
    "6": ["from-outlines.png"],
    "8": ["heart.png", "heart-blue.png"],
    "9": ["circle.png"],
}
SIZES = {"star-4x.png": (512, 512), "star-hires.png": (192, 192)}


class Kitchen:
    """A folder where blocks are run, beside a service that has what they need."""

    def __init__(self, stack: Stack, folder: Path, receiver_port: int) -> None:
        self.folder = folder
        self._replaced = {
            "http://127.0.0.1:8000": stack.url,
            '("127.0.0.1", 9000)': f'("127.0.0.1", {receiver_port})',
            "http://127.0.0.1:9000": f"http://127.0.0.1:{receiver_port}",
        }
        bin = folder / "bin"
        bin.mkdir()
        (bin / "latentry").write_text(f'#!/bin/sh\nexec {sys.executable} -m latentry "$@"\n')
        (bin / "latentry").chmod(0o755)
        self._env = os.environ | stack.settings.to_env() | {
            "PATH": f"{bin}:{os.environ['PATH']}",
            "LATENTRY_URL": stack.url,
        }  # fmt: skip

    def cook(self, language: str, code: str) -> None:
        for written, ours in self._replaced.items():
            code = code.replace(written, ours)
        program = [sys.executable, "-W", "error"] if language == "python" else ["bash", "-eu"]
        command = [*program, "-c", code]
        done = subprocess.run(
            command, cwd=self.folder, env=self._env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def kitchen(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    folder, port = tmp_path_factory.mktemp("cookbook"), free_port()
    rules = folder / "rules.toml"
    rules.write_text(
        '[[prompt]]\nname = "none"\nwords = ["xyzzy"]\naction = "flag"\nreason = "-"\n'
    )
    settings = settings_for(
        valkey, folder / "data", "cookbook", threads="1", models="shapes=models/shapes",
        rules=str(rules), webhook_allow=f"127.0.0.1:{port}",
    )  # fmt: skip
    with Stack(settings) as stack:
        stack.start_worker()
        yield Kitchen(stack, folder, port)


@pytest.mark.parametrize(("title", "text"), RECIPES, ids=[title for title, _ in RECIPES])
def test_a_recipe_works(kitchen: Kitchen, title: str, text: str) -> None:
    blocks = BLOCK.findall(text)
    assert blocks
    for language, code in blocks:
        kitchen.cook(language, code)
    for name in MADE.get(title.partition(".")[0], []):
        with Image.open(kitchen.folder / name) as image:
            assert image.size == SIZES.get(name, (128, 128))


def test_there_are_ten() -> None:
    assert [title.partition(".")[0] for title, _ in RECIPES] == [str(n) for n in range(1, 11)]
