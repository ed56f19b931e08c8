"""What a person types first: `latentry serve` with the lines it prints, and `latentry demo`."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from latentry.serve.demo import PROMPTS
from tests.latentry.serve.processes import read_until
from tests.valkey import free_port

ROOT = Path(__file__).parents[2]
# Each boots the whole service, which takes long on a machine that does much else.
pytestmark = pytest.mark.timeout(300)


@contextmanager
def command(*arguments: str, folder: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The command line in the checkout, its data in the folder; ended if the test did not."""
    ports = dict.fromkeys(("LATENTRY_METRICS_PORT", "LATENTRY_WORKER_METRICS_PORT"), "0")
    with subprocess.Popen(
        [sys.executable, "-m", "latentry", *arguments],
        cwd=ROOT,
        env=os.environ | ports | {"LATENTRY_DATA_DIR": str(folder)} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_the_commands_that_serve_prints_work(tmp_path: Path) -> None:
    with command("serve", folder=tmp_path / "data", LATENTRY_PORT=str(free_port())) as serving:
        assert serving.stdout
        read_until(serving.stdout, "Ready on")
        curl, generate = serving.stdout.readline(), serving.stdout.readline()
        answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)
        assert json.loads(answer.stdout)["status"] == "succeeded"
        words = shlex.split(generate.replace("out.png", str(tmp_path / "out.png")))
        subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
        with Image.open(tmp_path / "out.png") as picture:
            red, green, blue = picture.convert("RGB").getpixel((64, 64))  # type: ignore[misc]
            assert red > green + blue
        verify = [*words[: words.index("generate")], "verify", str(tmp_path / "out.png")]
        verify += words[words.index("--url") :] if "--url" in words else []
        told = subprocess.run(verify, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        assert told.startswith("C2PA: valid"), "signed from the first picture on"
        assert "Made by this service, by job gen_" in told
        serving.send_signal(signal.SIGINT)
        serving.stdout.read()
        assert serving.wait() == 0


def test_demo_draws_a_sheet_and_stops(tmp_path: Path) -> None:
    sheet = tmp_path / "demo.png"
    with command("demo", "-o", str(sheet), folder=tmp_path / "data") as drawing:
        assert drawing.stdout
        said = drawing.stdout.read()
        assert drawing.wait() == 0, said
    assert all(f"  {prompt}\n" in said for prompt in PROMPTS)
    with Image.open(sheet) as picture:
        assert picture.size == (3 * 128, 2 * 128)
