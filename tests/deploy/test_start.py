"""Both processes, started as the images start them: same command, same files, same environment."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from latentry.settings import Settings
from tests.deploy.files import ROOT, dockerfile, lineage
from tests.deploy.processes import running, until
from tests.valkey import free_port


class Container:
    """What the Dockerfile puts into an image, in a folder, with some modules out of reach."""

    def __init__(self, folder: Path, target: str, settings: Settings, absent: list[str]) -> None:
        self.stage = dockerfile()[target]
        self.app = folder / "app"
        for line in self.stage.all("COPY"):
            if not line.startswith("--from"):
                source, place = line.split()
                shutil.copytree(ROOT / source, self.app / place)
        for module in absent:
            (folder / "absent").mkdir(exist_ok=True)
            reason = f"raise ModuleNotFoundError({module!r} + ' is not in this image')"
            (folder / f"absent/{module}.py").write_text(reason)
        image = {key: value for stage in lineage(self.stage) for key, value in stage.env.items()}
        image.pop("PATH")
        # The gateway's code is imported from /app, the package from the virtual environment.
        self.env = image | settings.to_env() | {"PYTHONPATH": str(folder / "absent")}

    def command(self, words: list[str]) -> list[str]:
        assert words[0] == "python"
        return [sys.executable, *words[1:]]

    @property
    def log(self) -> str:
        return (self.app / "log.txt").read_text()


def _answers(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            return httpx.get(url).status_code == 200
        except httpx.TransportError:
            return False

    return ask


def test_the_gateway_serves_where_torch_cannot_be_imported(
    tmp_path: Path, settings: Settings
) -> None:
    here = settings.model_copy(update={"host": "127.0.0.1", "port": free_port()})
    absent = ["torch", "diffusers", "transformers", "PIL", "numpy", "worker"]
    gateway = Container(tmp_path, "gateway", here, absent)
    gateway.env["LATENTRY_HOST"] = "127.0.0.1"  # the image's 0.0.0.0 is for its own network
    with running(
        gateway.command(gateway.stage.entrypoint), env=gateway.env, cwd=gateway.app
    ) as process:
        until(_answers(f"{here.base_url}/livez"), process, within_s=30)
        until(_answers(f"{here.base_url}/readyz"), process, within_s=10)
        assert httpx.get(f"{here.base_url}/v1/models").json() == {"object": "list", "data": []}
        (check,) = gateway.stage.all("HEALTHCHECK")
        probe = gateway.command(json.loads(check.partition(" CMD ")[2]))
        assert subprocess.run(probe, env=os.environ | gateway.env).returncode == 0
    # uvicorn ends by the signal it was sent, once it has left in good order.
    assert process.returncode in (0, -signal.SIGTERM), gateway.log
    assert "Application shutdown complete" in gateway.log


def test_the_worker_loads_its_model_and_leaves_in_good_order(
    tmp_path: Path, settings: Settings
) -> None:
    worker = Container(tmp_path, "worker", settings, ["service", "fastapi", "uvicorn"])
    with running(
        worker.command(worker.stage.entrypoint), env=worker.env, cwd=worker.app
    ) as process:
        until(lambda: '"worker.ready"' in worker.log, process, within_s=90)
    assert process.returncode == 0, worker.log


@pytest.mark.parametrize("target", ["gateway", "worker"])
def test_a_misspelt_variable_stops_the_process_with_a_sentence(
    tmp_path: Path, settings: Settings, target: str
) -> None:
    command = [sys.executable, *dockerfile()[target].entrypoint[1:]]
    env = os.environ | settings.to_env() | {"LATENTRY_REDIS_URI": "redis://elsewhere"}
    answer = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.returncode != 0
    assert "LATENTRY_REDIS_URL" in answer.stderr
    assert "Traceback" not in answer.stderr
