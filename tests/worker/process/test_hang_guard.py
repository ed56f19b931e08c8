"""Work of other threads that hangs ends the process, and other work does not."""

import subprocess
import sys

import pytest

from worker.process import hang_guard
from worker.process.exit_on_failure import EXIT_BROKEN
from worker.process.hang_guard import HangGuard

HANGS = """
import threading
from worker.process.hang_guard import HangGuard
with HangGuard("clip", 0.05):
    threading.Event().wait()
"""


def test_the_process_ends_with_the_reason_in_its_log() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True)
    assert ended.returncode == EXIT_BROKEN
    assert "worker.hung" in ended.stdout + ended.stderr


def test_what_goes_on_or_is_done_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    now, ended = [0.0], []
    monkeypatch.setattr(hang_guard, "end_process", lambda: ended.append(now[0]))
    guard = HangGuard("clip", 10.0, lambda: now[0])
    now[0] = 9.0
    guard.move()
    now[0] = 18.0
    with guard:
        pass
    guard._thread.join(10)
    assert not guard._thread.is_alive()
    assert not ended
