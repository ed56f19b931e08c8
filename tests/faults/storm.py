"""Load that keeps coming while others break things, and what became of it."""

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from latentry.contracts import EventType, Job
from tests.e2e.processes import Process
from tests.faults.history import History
from tests.faults.house import House
from tests.latentry.ledger.audit import Entry


@contextmanager
def every(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Do something again and again, in a thread."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(seconds):
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def load(history: History, jobs: int, *, a_second: float, **fields: object) -> None:
    """Submit so many jobs of 10 to 30 steps at a steady pace."""
    chance = random.Random(jobs)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        for number in range(jobs):
            own = {"seed": number, "user": f"user {number % 3}", **fields}
            pool.submit(history.submit, chance.randint(10, 30), **own)
            pause = began + number / a_second - time.monotonic()
            threading.Event().wait(max(0.0, pause))  # an open loop keeps its own time


def steps_needed(entries: Iterable[Entry]) -> int:
    """The steps of all jobs in the ledger, each made once."""
    requests = (json.loads(entry.fields["request"]) for entry in entries)
    return sum(request["num_inference_steps"] for request in requests)


def ends_of(history: History) -> list[Job]:
    """Every accepted job once it has ended."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(history.end_of, sorted(history.accepted)))


@dataclass(slots=True)
class Killer:
    """Kills workers as a machine does that loses power, and starts another for each."""

    house: House
    workers: list[Process]
    seed: int = 1
    killed: int = 0
    orphaned: list[tuple[float, str]] = field(default_factory=list)
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def strike(self) -> None:
        """One of them."""
        number = self._chance.randrange(len(self.workers))
        victim = self.workers[number]
        pids = {str(pid) for pid in victim.pids}
        victim.kill()
        self.killed += 1
        at = time.time()
        with suppress(RedisError):  # it may be dead just then
            self.orphaned += [(at, ref) for ref in self._held_by(pids)]
        self.workers[number] = self.house.add("tests.faults.worker")

    def _held_by(self, pids: set[str]) -> list[str]:
        client, root = self.house.ledger.client, self.house.ledger.root
        refs = client.zrange(f"{root}:leases", 0, -1)
        names = [client.hget(f"{root}:job:{ref}", "worker") or "" for ref in refs]
        return [
            ref
            for ref, name in zip(refs, names, strict=True)
            if pids.intersection(name.split("-")[-2:-1])
        ]

    def recoveries(self, entries: dict[str, Entry]) -> list[float]:
        """Seconds from each death to when each of its jobs ran elsewhere."""
        found = []
        for at, ref in self.orphaned:
            entry = entries[ref]
            times = [
                int(id.partition("-")[0]) / 1000 - at
                for kind, id in zip(entry.events, entry.ids, strict=True)
                if kind is EventType.RUNNING
            ]
            found += [min(later) for later in [[s for s in times if s > 0]] if later]
        return found


def doubled(history: History) -> list[str]:
    """Jobs that were settled more than once, by what the workers' logs say."""
    logs = history.house.logs.glob("*worker-*.log")
    ends = Counter(
        id for log in logs for id in re.findall(r"job\.settled .*job=(\S+)", log.read_text())
    )
    assert ends, "the logs say it so"
    return [id for id, times in ends.items() if times > 1]


def percentile(values: list[float], share: float) -> float:
    """The value that so large a share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0
