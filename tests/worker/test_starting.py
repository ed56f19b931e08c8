"""A worker that is told to stop before it serves."""

import os
import signal
import subprocess
import sys

from latentry.settings import Settings
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
