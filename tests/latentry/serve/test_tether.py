import subprocess
import sys

import pytest

from latentry.serve.child import TETHER
from tests.latentry.serve.processes import ends, lives, read_until

STUBBORN = (
    "import os, signal, subprocess, sys\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "child = subprocess.Popen(['sleep', '600'])\n"
    "print('pids', os.getpid(), child.pid, flush=True)\n"
    "{then}\n"
)


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
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def pids(process):
    found, _ = read_until(process.stdout, r"pids (\d+) (\d+)")
    return int(found[1]), int(found[2])


def test_lines_carry_the_name_and_the_exit_code_comes_through(tether):
    process = tether("import sys; print('one'); print('two', file=sys.stderr); sys.exit(7)")
    assert sorted(process.stdout.read().splitlines()) == ["child   | one", "child   | two"]
    assert process.wait() == 7


def test_closing_the_pipe_sends_sigterm(tether):
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
    process.stdin.close()
    read_until(process.stdout, "stopping")
    assert process.wait() == 0


def test_a_command_that_does_not_listen_is_killed_with_all_it_started(tether):
    process = tether(STUBBORN.format(then="signal.pause()"), grace_s=0.1)
    own, grandchild = pids(process)
    assert lives(own)
    process.stdin.close()
    assert process.wait() == 128 + 9
    assert ends(own)
    assert ends(grandchild)


def test_processes_that_a_dead_command_left_are_killed(tether):
    process = tether(STUBBORN.format(then="os.kill(os.getpid(), signal.SIGKILL)"))
    _, grandchild = pids(process)
    assert process.wait() == 128 + 9
    assert ends(grandchild)


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
