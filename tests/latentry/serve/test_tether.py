import contextlib
import os
import signal
import subprocess
import sys

import pytest

from latentry.serve import tether as tethers
from latentry.serve.child import STOP, TETHER
from tests.latentry.serve.processes import ends, lives, read_until

WITH_A_CHILD = (
    "import os, signal, subprocess, sys\n"
    "child = subprocess.Popen(['sleep', '600'])\n"
    "print('pids', os.getpid(), child.pid, flush=True)\n"
    "signal.pause()\n"
)
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WITH_A_CHILD


@pytest.fixture
def tether():
    """Starts Python code on a tether."""
    started = []

    def start(code, grace_s=10.0):
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", TETHER, "child", str(grace_s), sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def stop(process):
    process.stdin.write(STOP.decode())
    process.stdin.flush()


def pids(process):
    found, _ = read_until(process.stdout, r"pids (\d+) (\d+)")
    return int(found[1]), int(found[2])


def test_lines_carry_the_name_and_the_exit_code_comes_through(tether):
    process = tether("import sys; print('one'); print('two', file=sys.stderr); sys.exit(7)")
    assert sorted(process.stdout.read().splitlines()) == ["child   | one", "child   | two"]
    assert process.wait() == 7


def test_lines_are_whole_however_they_come(tether):
    long = "x" * 200_000  # more than a pipe holds
    code = f"""
import sys, os
os.write(1, b"be"); os.write(1, b"gun\\n\\n")
print("x" * {len(long)})
for number in range(5_000): print(number)
print("end", end="")
"""
    process = tether(code)
    lines = process.stdout.read().splitlines()
    written = ["begun", "", long, *map(str, range(5_000)), "end"]
    assert lines == [f"child   | {line}" for line in written]


@pytest.mark.parametrize("length", [4, 300, 2100, 5000])
def test_nobody_sleeps_while_a_full_pipe_stops_the_command(length, monkeypatch, capsysbinary):
    naps = []
    monkeypatch.setattr(tethers.time, "sleep", naps.append)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    line, count = b"x" * (length - 1) + b"\n", 0
    with contextlib.suppress(BlockingIOError):
        while os.write(writing, line) == length:
            count += 1
    os.close(writing)
    with os.fdopen(reading, "rb") as output:
        tethers._relay(output, "child")
    assert naps == []
    assert capsysbinary.readouterr().out.count(b"child   | " + line) == count


def test_it_is_told_to_stop_by_a_byte_and_sends_sigterm(tether):
    code = (
        "import os, signal, sys\n"
        "def leave(*_):\n"
        "    os.write(1, b'stopping\\n')\n"  # print may be what the signal interrupts
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave)\n"
        "print('up', flush=True)\n"
        "signal.pause()\n"
    )
    process = tether(code)
    read_until(process.stdout, "up")
    stop(process)
    read_until(process.stdout, "stopping")
    assert process.wait() == 0


def test_a_command_that_does_not_listen_is_killed(tether):
    process = tether(STUBBORN, grace_s=0.1)
    own, left = pids(process)
    assert lives(own)
    stop(process)
    assert process.wait() == 128 + 9
    assert ends(own)
    os.kill(left, signal.SIGKILL)  # the supervisor does that


def test_without_its_supervisor_it_ends_the_command_and_all_that_it_started(tether):
    process = tether(WITH_A_CHILD, grace_s=60.0)
    started = pids(process)
    process.stdin.close()
    assert all(ends(pid, within_s=10.0) for pid in started)


def test_a_supervisor_that_dies_while_it_stops_is_noticed(tether):
    process = tether(STUBBORN, grace_s=60.0)
    started = pids(process)
    stop(process)
    process.stdin.close()
    assert all(ends(pid, within_s=10.0) for pid in started)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_other_signals_to_it_stop_the_command(tether, number):
    process = tether("import os, signal; print('pids', os.getpid(), 0, flush=True); signal.pause()")
    own, _ = pids(process)
    process.send_signal(number)
    assert process.wait() == 128 + signal.SIGTERM
    assert ends(own)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the supervisor does it")
def test_the_command_ends_with_a_killed_tether(tether):
    process = tether(STUBBORN)
    own, left = pids(process)
    process.kill()
    assert ends(own)
    os.kill(left, signal.SIGKILL)


def test_a_killed_supervisor_takes_the_command_with_it():
    child = "import os, signal; print('pids', os.getpid(), 0, flush=True); signal.pause()"
    code = (
        "import subprocess, signal, sys\n"
        f"command = [sys.executable, '-I', '-S', {TETHER!r}, 'child', '10']\n"
        f"command += [sys.executable, '-c', {child!r}]\n"
        "subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)\n"
        "signal.pause()\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    own, _ = pids(supervisor)
    supervisor.kill()
    supervisor.wait()
    assert ends(own)
    supervisor.stdout.close()
