"""A worker before it serves: it is told to stop, and says what it will have."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from pydantic import SecretStr
from structlog.testing import capture_logs

from latentry.ledger import Ledger, commands
from latentry.settings import Settings
from tests.e2e.processes import until
from tests.latentry.ledger.factory import card, new_job
from worker.backends import ATTEMPTS
from worker.starting import Starting

WORKER = """
import os, threading
from latentry.settings import Settings
from worker import app
from worker.backends import ATTEMPTS
from worker.engine.attempts import Attempts
from worker.process.keepalive import NoKeepalive

def open_backend(settings, *_):
    Attempts(settings.data_dir / ATTEMPTS).begin("pen", lambda: "file")
    print("begun", flush=True)
    threading.Event().wait()

app.run(Settings.from_env(os.environ), NoKeepalive(), open_backend)
"""


SERVING = """
import os, threading
from latentry.logs import configure_logs
from latentry.settings import Settings
from worker import app
from worker.backends import ATTEMPTS, open_backend
from worker.engine.attempts import Attempts
from worker.model_files.watcher import ModelWatcher
from worker.process.keepalive import NoKeepalive

def open_another(settings, *rest):
    Attempts(settings.data_dir / ATTEMPTS).begin("pen", lambda: "file")
    return open_backend(settings, *rest)

ModelWatcher.stop = lambda _: threading.Event().wait()
settings = Settings.from_env(os.environ)
configure_logs(settings)
app.run(settings, NoKeepalive(), open_another)
"""


def test_it_ends_by_the_signal_at_once_and_no_model_is_to_blame(settings: Settings) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER], env=os.environ | settings.to_env(), stdout=-1, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert len(list((settings.data_dir / ATTEMPTS).glob("*/*"))) == 1
        process.terminate()
        assert process.wait(10) == -signal.SIGTERM
    assert not list((settings.data_dir / ATTEMPTS).glob("*/*"))


def test_one_that_serves_blames_no_model_as_soon_as_it_is_told_to_stop(settings: Settings) -> None:
    """Its parent kills it if it takes too long."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVING],
        env=os.environ | settings.to_env() | {"LATENTRY_MODELS": "a=simulated:"},
        stdout=-1,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert any("worker.ready" in line for line in process.stdout)
            assert len(list((settings.data_dir / ATTEMPTS).glob("*/*"))) == 1
            process.terminate()
            until(lambda: not list((settings.data_dir / ATTEMPTS).glob("*/*")), timeout_s=30)
        finally:
            process.kill()


def test_the_jobs_of_what_it_loads_wait_for_it_however_long_that_takes(
    settings: Settings, ledger: Ledger
) -> None:
    """Another worker that no longer has the model would else end them after five minutes."""
    ledger.run(commands.register_model(card()))
    ref = ledger.run(commands.create(new_job(), max_queued=10)).ref
    servers = f"{ledger.root}:servers:shapes"
    starting = Starting(settings.model_copy(update={"models": "shapes=/x"}), "w2", every_s=0.01)
    starting.begin()
    for _ in range(2):  # as if five minutes were over
        ledger.client.delete(servers)
        until(lambda: ledger.client.exists(servers))
    assert ledger.run(commands.withdraw_model("w1", "shapes")) == 0
    starting.stop()
    ledger.client.delete(servers)
    assert ledger.run(commands.withdraw_model("w1", "shapes")) == 1
    record = ledger.run(commands.get(ref))
    assert record is not None
    assert record.state == "failed"


def test_it_says_all_that_settings_and_folders_name(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    folder = tmp_path / "upscalers"
    folder.mkdir()
    (folder / "4x.safetensors").touch()
    named = {
        "models": "sd15=/x,a=simulated:",
        "upscalers": f"{folder},own={tmp_path / 'gone.safetensors'},{tmp_path / 'none'}",
        "captioner": str(tmp_path / "blip"),
    }
    starting = Starting(settings.model_copy(update=named), "w")
    starting.begin(["found"])
    until(lambda: ledger.client.exists(f"{ledger.root}:servers:caption/captioner"))
    starting.stop()
    known = {
        name.partition(":servers:")[2] for name in ledger.client.keys(f"{ledger.root}:servers:*")
    }
    assert known == {
        "sd15", "a", "found", "upscaler/4x", "upscaler/own", "upscaler/none", "caption/captioner",
    }  # fmt: skip


def test_a_worker_that_loads_says_so_until_it_serves(settings: Settings, ledger: Ledger) -> None:
    environment = os.environ | settings.to_env() | {"LATENTRY_MODELS": "a=simulated:"}
    with subprocess.Popen([sys.executable, "-c", WORKER], env=environment, stdout=-1) as process:
        try:
            until(lambda: ledger.client.exists(f"{ledger.root}:servers:a"))
        finally:
            process.kill()


def test_a_ledger_that_is_away_keeps_no_worker_from_starting(settings: Settings) -> None:
    away = SecretStr("redis://127.0.0.1:9")
    starting = Starting(settings.model_copy(update={"redis_url": away}), "w", every_s=0.01)
    with capture_logs() as logs:
        starting.begin()
        until(lambda: len(logs) > 1)
        starting.stop()
    assert {one["event"] for one in logs} == {"ledger.unavailable"}
