"""A worker without one of its threads ends, so that its jobs go to another."""

import subprocess
import sys

import pytest

from worker.process.exit_on_failure import EXIT_BROKEN, critical_thread

FAILS = """
import threading
from worker.process.exit_on_failure import critical_thread
def work(): raise RuntimeError("the ledger's answer has another form")
critical_thread("reporter", work).start()
threading.Event().wait()
"""


def test_the_process_ends_with_the_reason_in_its_log() -> None:
    ended = subprocess.run([sys.executable, "-c", FAILS], capture_output=True, text=True)
    assert ended.returncode == EXIT_BROKEN
    assert "the ledger's answer has another form" in ended.stdout + ended.stderr


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_within_a_test_it_does_not_end_the_others() -> None:
    thread = critical_thread("reporter", lambda: 1 / 0)
    thread.start()
    thread.join()
