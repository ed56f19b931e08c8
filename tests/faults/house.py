"""A whole service for faults: its own Valkey, gateways, and workers that things happen to."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from latentry.client import Client
from latentry.contracts import Job
from latentry.ledger import Ledger
from latentry.settings import Settings
from latentry.storage import open_storage
from tests.e2e.conftest import settings_for
from tests.e2e.processes import Process, Stack, until
from tests.faults.hazards import Tally
from tests.valkey import Valkey

SIDE = 64
# 4 ms for a call and 0.5 for each row of the pictures requested here.
FAST = "shapes=simulated:call_ms=4:row_ms=32:picture_ms=64"
SLOW = "shapes=simulated:call_ms=40:row_ms=32:picture_ms=64"


class House(Stack):
    """One gateway to begin with. All logs and pictures lie in one folder."""

    def __init__(self, settings: Settings, valkey: Valkey) -> None:
        super().__init__(settings)
        self.valkey = valkey
        self.ledger = Ledger.open(settings)
        self.storage = open_storage(settings)
        self.client = Client(settings.base_url)

    def stop(self) -> None:
        """Everybody at once: what hangs would take its time."""
        self.client.close()
        self.ledger.close()
        for process in self._processes:
            if process.is_alive:
                process.kill()

    @property
    def gateway(self) -> Process:
        """The first one."""
        return self._processes[0]

    def kill_gateway(self) -> None:
        """The first one, in the middle of its requests; then another at its place."""
        self.gateway.kill()
        self._processes[0] = Process("service", self.settings, self.gateway.log)
        until(self.is_ready, 60, "the gateway being ready")

    def add(self, module: str, *arguments: str, **variables: str) -> Process:
        """One more process, started and not waited for."""
        log = self.logs / f"{module}-{len(self._processes)}.log"
        process = Process(module, self.settings, log, *arguments, **variables)
        self._processes.append(process)
        return process

    def worker(self, *arguments: str, **variables: str) -> Process:
        """One more worker, ready, with what is to happen to it."""
        worker = self.add("tests.faults.worker", *arguments, **variables)
        self.until_ready(worker)
        return worker

    def until_ready(self, worker: Process) -> None:
        until(lambda: "worker.ready" in worker.log.read_text(), 60, "the worker being ready")
        until(self.workers, 60, "the worker being counted")

    def submit(self, steps: int = 10, **fields: object) -> Job:
        """A small picture."""
        options = {
            "prompt": "a plain colour", "num_inference_steps": steps, "guidance_scale": 1.0,
            "width": SIDE, "height": SIDE,
        }  # fmt: skip
        return self.client.submit(**(options | fields))  # type: ignore[arg-type]

    def marked(self, hazard: str, steps: int = 10, **fields: object) -> Job:
        """A small picture to which something happens."""
        return self.submit(steps, metadata={"hazard": hazard}, **fields)

    def end_of(self, job: Job, timeout_s: float = 60) -> Job:
        return self.client.wait(job.id, timeout_s=timeout_s)

    def claims(self, job: Job) -> int:
        """How many times workers have said that they claimed it."""
        return len(re.findall(f"job.claimed .*{job.id}", self.text_of_logs()))

    def says(self, word: str) -> int:
        """How often a word stands in the logs."""
        return self.text_of_logs().count(word)

    @property
    def steps_made(self) -> int:
        """Steps of images that all workers made since the house stands, the dead ones' too."""
        return Tally.total(self.settings.data_dir / "tally")


@contextmanager
def house(
    folder: Path, *, models: str = FAST, durable: bool = False, **more: str
) -> Iterator[House]:
    """A running one."""
    valkey = Valkey(folder, durable=durable)
    valkey.start()
    try:
        with House(settings_for(valkey, folder, "faults", models=models, **more), valkey) as made:
            yield made
    finally:
        valkey.stop()


def took(began: float) -> float:
    """Seconds since."""
    return time.monotonic() - began
