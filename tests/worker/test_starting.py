"""A worker that is told to stop before it serves."""

import os
import signal
import subprocess
import sys

from latentry.settings import Settings
from tests.e2e.processes import until
from worker.backends import ATTEMPTS

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
