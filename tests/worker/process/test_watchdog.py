"""The parent process, with real children and real signals."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import children, until

CHILD = """
import os, pathlib, signal, sys
from worker.process.keepalive import SocketKeepalive
keepalive = SocketKeepalive(int(sys.argv[1]))
log = pathlib.Path({log!r})
with log.open("a") as file: file.write(f"{{os.getpid()}}\\n")
keepalive.extend(0)
{then}
"""
PARENT = """
import sys
from worker.process.watchdog import Watchdog
command = [sys.executable, "-c", {child!r}]
watchdog = Watchdog(command, stop_s=2)
watchdog.start()
watchdog.max_rss_bytes = {max_rss_bytes}
sys.exit(watchdog.run())
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(") ")[1][:1]


class Family:
    """A watchdog with a child that runs a given script."""

    def __init__(self, folder: Path, then: str, max_rss_bytes: int) -> None:
        self.log = folder / "born"
        self.log.touch()
        child = CHILD.format(log=str(self.log), then=textwrap.dedent(then))
        parent = PARENT.format(child=child, max_rss_bytes=max_rss_bytes)
        self.parent = subprocess.Popen([sys.executable, "-c", parent])

    @property
    def born(self) -> list[int]:
        return [int(line) for line in self.log.read_text().split()]

    def end(self) -> None:
        """Kill both: a child that hangs in C does not notice that its parent is gone."""
        if self.parent.poll() is None:
            self.parent.send_signal(signal.SIGSTOP)  # it must not start another one meanwhile
            for pid in children(self.parent.pid):
                os.kill(pid, signal.SIGKILL)
        self.parent.kill()
        self.parent.wait()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Callable[[str], Family]]:
    families: list[Family] = []

    def start(then: str, max_rss_bytes: int = 0) -> Family:
        families.append(Family(tmp_path, then, max_rss_bytes))
        return families[-1]

    yield start
    for one in families:
        one.end()


def test_a_worker_that_dies_is_started_again(family) -> None:
    mortal = family("sys.exit(3)")
    until(lambda: len(mortal.born) >= 2)


def test_a_worker_that_can_never_work_is_not_tried_again(family) -> None:
    useless = family("sys.exit(2)")
    assert useless.parent.wait(10) == 2
    assert len(useless.born) == 1


def test_a_worker_that_misses_its_deadline_is_killed_and_replaced(family) -> None:
    hung = family("keepalive.extend(0.2); signal.pause()")
    until(lambda: len(hung.born) >= 2)
    assert not is_running(hung.born[0])


def test_a_worker_that_hangs_in_c_is_killed_too(family) -> None:
    stuck = family(
        "import ctypes; keepalive.extend(0.2); ctypes.PyDLL(None).sleep(600)"  # holds the GIL
    )
    until(lambda: len(stuck.born) >= 2)


def test_an_idle_worker_may_be_silent_for_as_long_as_it_likes(family) -> None:
    idle = family(
        "keepalive.extend(0.2); keepalive.extend(0); log.write_text('1\\n'); signal.pause()"
    )
    until(lambda: idle.born == [1])
    with pytest.raises(subprocess.TimeoutExpired):
        idle.parent.wait(1)
    assert idle.born == [1]


def test_a_worker_finds_the_libraries_tuned_unless_its_operator_tuned_them(
    family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "7")
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    found = tmp_path / "found"
    family(
        "found = [os.environ[n] for n in ('MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_')]\n"
        f"pathlib.Path({str(found)!r}).write_text(' '.join(found)); signal.pause()"
    )
    until(lambda: found.exists() and bool(found.read_text()))
    assert found.read_text() == f"7 {512 * 2**20}"


def test_sigterm_reaches_the_worker_and_ends_both(family) -> None:
    calm = family("signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); signal.pause()")
    until(lambda: len(calm.born) == 1)
    calm.parent.send_signal(signal.SIGTERM)
    assert calm.parent.wait(10) == 0
    assert not is_running(calm.born[0])


def test_sigterm_while_it_starts_is_a_clean_end(family) -> None:
    starting = family("signal.pause()")
    until(lambda: len(starting.born) == 1)
    starting.parent.send_signal(signal.SIGTERM)
    assert starting.parent.wait(10) == 0
    assert not is_running(starting.born[0])


def test_nothing_is_imported_before_the_worker_is_started() -> None:
    code = """
import sys
before = set(sys.modules)
import worker.__main__
print(*{name.partition(".")[0] for name in sys.modules.keys() - before})
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) - sys.stdlib_module_names == {"worker"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_it_watches_is_remembered(number: int) -> None:
    """It imports other things meanwhile; and the first process of a container has no defaults."""
    parent = f"""
import os, sys
from worker.process.watchdog import Watchdog
watchdog = Watchdog([sys.executable, "-c", "import time; time.sleep(600)"])
watchdog.start()
os.kill(os.getpid(), {int(number)})
sys.exit(watchdog.run())
"""
    assert subprocess.run([sys.executable, "-c", parent], timeout=30).returncode == 0


def test_a_worker_that_grows_too_large_is_ended_in_good_order_and_started_again(
    family, tmp_path: Path
) -> None:
    good_bye = tmp_path / "good-bye"
    large = family(
        f"end = lambda *_: sys.exit(pathlib.Path({str(good_bye)!r}).touch())\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "held = bytearray(b'x') * 200_000_000 if log.read_text().count(chr(10)) == 1 else b''\n"
        "signal.pause()",
        max_rss_bytes=150_000_000,
    )
    until(lambda: len(large.born) == 2)
    assert good_bye.exists()
    with pytest.raises(subprocess.TimeoutExpired):
        large.parent.wait(2)
    assert len(large.born) == 2, "the second one is small"


def test_a_worker_that_ignores_sigterm_is_killed_after_the_bound(family) -> None:
    deaf = family(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); keepalive.extend(0);"
        "log.open('a').write('2\\n'); signal.pause()"
    )
    until(lambda: deaf.born[1:] == [2])
    deaf.parent.send_signal(signal.SIGTERM)
    assert deaf.parent.wait(10) == 1
    assert not is_running(deaf.born[0])


def test_a_worker_whose_parent_was_killed_ends_itself(family) -> None:
    orphan = family("time.sleep(600)")
    until(lambda: len(orphan.born) == 1)
    orphan.parent.kill()
    orphan.parent.wait()
    until(lambda: not is_running(orphan.born[0]))
