"""The processes of `latentry serve`, killed one after another: nobody is left, all come back."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import until
from tests.latentry.serve.processes import ends
from tests.valkey import free_port

ROOT = Path(__file__).parents[2]
GONE_S = 10.0
COLUMNS = "pid=,ppid=,stat=,args="
# How each process is known by its command line.
ROLES = {
    "valkey's tether": r"tether\.py valkey",
    "worker's tether": r"tether\.py worker",
    "gateway's tether": r"tether\.py gateway",
    "valkey": r"valkey-server|valkey.*:\d+",
    "watchdog": r"-m worker$",
    "worker": r"-m worker child",
    "gateway": r"-m service$",
}


class Family:
    """A running `latentry serve` with a simulated model."""

    def __init__(self, folder: Path) -> None:
        ports = ("LATENTRY_PORT", "LATENTRY_METRICS_PORT", "LATENTRY_WORKER_METRICS_PORT")
        self.variables = {name: str(free_port()) for name in ports} | {
            "LATENTRY_DATA_DIR": str(folder / 'it\'s "data" \\ né'),
            "LATENTRY_MODELS": "a=simulated:",
        }
        self.log = folder / "log"
        self.url = f"http://127.0.0.1:{self.variables['LATENTRY_PORT']}"
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.serve = subprocess.Popen(
                [sys.executable, "-m", "latentry", "serve"],
                cwd=ROOT,
                env=os.environ | self.variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def members(self) -> dict[str, int]:
        """The pid of each process by its role, below `latentry serve`."""
        listing = subprocess.run(["ps", "-eww", "-o", COLUMNS], capture_output=True)
        rows = [line.split(None, 3) for line in listing.stdout.decode().splitlines()]
        family, found = [str(self.serve.pid)], {}
        for parent in family:
            for pid, ppid, stat, command in rows:
                if ppid == parent and not stat.startswith("Z"):
                    family.append(pid)
                    roles = (role for role, known in ROLES.items() if re.search(known, command))
                    found[next(roles, "just forked")] = int(pid)
        return found

    def can_draw(self) -> bool:
        try:
            return bool(httpx.get(f"{self.url}/readyz").json().get("can_draw"))
        except httpx.TransportError:
            return False

    def whole(self) -> dict[str, int]:
        """The members, once all are there and can draw."""
        found: dict[str, int] = {}

        def is_whole() -> bool:
            nonlocal found
            found = self.members()
            return found.keys() == ROLES.keys() and self.can_draw()

        until(is_whole, 40, "a whole family")
        return found

    def end(self) -> None:
        members = self.members().values() if self.serve.poll() is None else ()
        self.serve.kill()
        self.serve.wait()
        assert all(ends(pid, GONE_S) for pid in members)


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    # A shell without job control lets all that it runs in the background ignore it.
    before = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    started = Family(tmp_path)
    yield started
    started.end()
    signal.signal(signal.SIGQUIT, before)


BELOW = {
    "valkey's tether": ("valkey",),
    "worker's tether": ("watchdog", "worker"),
    "gateway's tether": ("gateway",),
    "watchdog": ("worker",),
}


def kill(family: Family, role: str, number: signal.Signals) -> None:
    """Nobody below the killed one stays."""
    before = family.whole()
    os.kill(before[role], number)
    assert all(ends(before[one], GONE_S) for one in (role, *BELOW.get(role, ()))), role


def kill_serve(family: Family, frozen: tuple[str, ...]) -> None:
    """Nobody stays, though some are frozen, and the next starts at once on the same ports."""
    before = family.whole()
    for role in frozen:
        os.kill(before[role], signal.SIGSTOP)
    family.serve.kill()
    family.serve.wait()
    family.start()
    assert all(ends(pid, GONE_S) for pid in before.values())
    family.whole()


def test_nobody_survives_who_started_them_and_all_are_replaced(family: Family) -> None:
    for role in ("worker's tether", "gateway's tether", "valkey's tether"):
        kill(family, role, signal.SIGKILL)
    kill_serve(family, frozen=("worker", "gateway's tether"))


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [(), ("watchdog",), ("valkey", "gateway"), tuple(ROLES)])
def test_nobody_survives_a_killed_serve(family: Family, frozen: tuple[str, ...]) -> None:
    kill_serve(family, frozen)


@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGABRT"])
def test_any_process_may_end_of_any_signal(family: Family, number: str) -> None:
    for role in ROLES:
        if (role, number) != ("valkey", "SIGHUP"):  # which it ignores
            kill(family, role, signal.Signals[number])
    family.whole()


@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT"])
def test_any_signal_that_ends_serve_ends_all(family: Family, number: str) -> None:
    before = family.whole()
    family.serve.send_signal(signal.Signals[number])
    family.serve.wait()
    assert all(ends(pid, GONE_S) for pid in before.values())
