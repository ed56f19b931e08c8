import asyncio
import os
import signal
import sys

import pytest

from latentry.serve.child import Child
from latentry.serve.supervisor import Supervisor
from tests.latentry.serve.processes import ends, read_until

PAUSES = "import os, signal; print('pid', os.getpid(), flush=True); signal.pause()"


@pytest.fixture
def keep():
    """Keeps Python code alive; gives the supervisor, what it said, and its child's output."""
    opened = []

    def start(code, **options):
        reading, writing = os.pipe()
        output = os.fdopen(writing, "w")
        lines = os.fdopen(reading)
        opened.extend((output, lines))
        child = Child("child", (sys.executable, "-c", code), os.environ, grace_s=5.0)
        said = asyncio.Queue()
        supervisor = Supervisor(child, output, said.put_nowait, **options)
        supervisor.start()
        return supervisor, said, lines

    yield start
    for file in opened:
        file.close()


async def next_pid(lines):
    found, _ = await asyncio.to_thread(read_until, lines, r"child   \| pid (\d+)")
    return int(found[1])


async def test_a_child_that_dies_is_started_again(keep):
    supervisor, said, lines = keep(PAUSES, first_pause_s=0.0)
    first = await next_pid(lines)
    os.kill(first, signal.SIGKILL)
    assert await said.get() == "child ended with exit code 137; restart in 0.0 s"
    second = await next_pid(lines)
    assert second != first
    await supervisor.stop()
    assert ends(second)


async def test_a_child_that_keeps_dying_is_started_less_and_less_eagerly(keep):
    supervisor, said, _ = keep("exit(3)", first_pause_s=0.1, longest_pause_s=0.3)
    pauses = [(await said.get()).partition("restart in ")[2] for _ in range(4)]
    assert pauses == ["0.1 s", "0.2 s", "0.3 s", "0.3 s"]
    assert supervisor.quick_deaths == 4
    await supervisor.stop()


async def test_a_long_run_resets_the_count_of_deaths(keep, monkeypatch):
    monkeypatch.setattr("latentry.serve.supervisor.HEALTHY_S", 0.0)
    supervisor, said, _ = keep("exit(3)", first_pause_s=0.0)
    for _ in range(3):
        await said.get()
    assert supervisor.quick_deaths == 1
    await supervisor.stop()


async def test_a_stop_does_not_wait_for_the_pause_to_end(keep):
    supervisor, said, _ = keep("exit(3)", first_pause_s=600.0, longest_pause_s=600.0)
    await said.get()
    await supervisor.stop()


async def test_a_stop_during_the_start_leaves_nothing(keep):
    supervisor, _, lines = keep(PAUSES)
    await asyncio.sleep(0)
    await supervisor.stop()
    supervisor.output.close()
    assert all(ends(int(line.split()[-1])) for line in lines)


@pytest.mark.parametrize("killed", ["the command", "its tether"])
async def test_what_a_killed_child_has_left_is_killed(keep, killed):
    code = (
        "import os, signal, subprocess; left = subprocess.Popen(['sleep', '600'])\n"
        "print('pids', os.getpid(), os.getppid(), left.pid, flush=True); signal.pause()"
    )
    supervisor, said, lines = keep(code, first_pause_s=600.0, longest_pause_s=600.0)
    found, _ = await asyncio.to_thread(read_until, lines, r"pids (\d+) (\d+) (\d+)")
    command, tether, left = map(int, found.groups())
    os.kill(command if killed == "the command" else tether, signal.SIGKILL)
    await said.get()
    assert ends(command)
    assert ends(left)
    await supervisor.stop()
