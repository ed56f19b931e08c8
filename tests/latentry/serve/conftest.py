"""`latentry serve` in a folder with a service and a worker that only print and wait."""

import os
import signal
import subprocess
import sys

import pytest

from tests.valkey import free_port

APP = """
import os, signal, sys
def leave(*_):
    os.write(1, b"stopping\\n")  # print may be what the signal interrupts
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("pid", os.getpid(), flush=True)
"""
WORKER = APP + "signal.pause()\n"
SERVICE = (
    APP
    + """
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from latentry.contracts import Defaults, Limits, Model, ModelList, Sampler
MODEL = Model(
    id="shapes", limits=Limits(max_side=192), samplers=[Sampler.DDIM], created=0, workers=1,
    defaults=Defaults(
        width=128, height=128, num_inference_steps=25, guidance_scale=4.0, sampler=Sampler.DDIM
    ),
)
class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        body = ModelList(data=[MODEL]).model_dump_json().encode()
        if self.path == "/readyz":
            body = json.dumps({"can_draw": MODEL.workers > 0}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
address = ("127.0.0.1", int(os.environ["LATENTRY_PORT"]))
ThreadingHTTPServer(address, Answers).serve_forever()
"""
)


class Serving:
    """A running `latentry serve`."""

    def __init__(self, folder, env):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "latentry", "serve"],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = self.process.stdout

    def end(self, number=signal.SIGINT):
        """Send a signal; gives the exit code and the last lines."""
        self.process.send_signal(number)
        rest = self.lines.read().splitlines()
        return self.process.wait(), rest


@pytest.fixture
def checkout(tmp_path):
    """A folder that looks like a checkout to `latentry serve`."""
    for app, code in (("service", SERVICE), ("worker", WORKER)):
        (tmp_path / app).mkdir()
        (tmp_path / app / "__init__.py").touch()
        (tmp_path / app / "__main__.py").write_text(code)
    (tmp_path / "models" / "shapes").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def serve(checkout):
    """Starts `latentry serve` there, on free ports unless `changes` says otherwise."""
    started = []

    def start(folder=checkout, **changes):
        env = os.environ | {
            "LATENTRY_PORT": str(free_port()),
            "LATENTRY_METRICS_PORT": "0",
            "LATENTRY_WORKER_METRICS_PORT": "0",
            **changes,
        }
        serving = Serving(folder, env)
        started.append(serving.process)
        return serving

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
