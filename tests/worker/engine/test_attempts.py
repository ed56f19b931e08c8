"""A file that workers die of is refused after a few times, and no other."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from latentry.errors import ConfigurationError
from worker.engine import attempts
from worker.engine.attempts import MOST, Attempts, forget_own

PROCESS = """
import sys
from functools import partial
from pathlib import Path
from worker.engine.attempts import Attempts, forget_own
from worker.process.sigterm import end_on_sigterm
folder = Path(sys.argv[1])
end_on_sigterm(partial(forget_own, folder))
Attempts(folder, "a machine", boot=sys.argv[3]).begin("pen", lambda: sys.argv[2])
print("begun", flush=True)
sys.stdin.read()
"""


@contextmanager
def loading(
    folder: Path, identity: str = "file", boot: str = "boot"
) -> Iterator["subprocess.Popen[str]"]:
    """Another process, which loads it until it is ended."""
    command = [sys.executable, "-c", PROCESS, str(folder), identity, boot]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def die(folder: Path, number: int = signal.SIGKILL, boot: str = "boot") -> None:
    with loading(folder, boot=boot) as process:
        process.send_signal(number)
        assert process.wait() == -number


def begin(
    folder: Path, identity: str = "file", machine: str = "a machine", boot: str = "boot"
) -> Attempts:
    found = Attempts(folder, machine, boot=boot)
    found.begin("pen", lambda: identity)
    return found


@pytest.fixture
def deadly(tmp_path: Path) -> Path:
    for _ in range(MOST):
        die(tmp_path)
    return tmp_path


def test_what_workers_died_of_again_and_again_is_refused_until_it_changes(deadly: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"pen is not loaded: {MOST} times") as refused:
        begin(deadly)
    with begin(deadly, "another file").judged("pen"):
        pass
    with begin(deadly, machine="another machine").judged("pen"):
        pass
    with pytest.raises(ConfigurationError):
        begin(deadly)
    [place] = deadly.iterdir()
    assert str(place) in refused.value.message, "what to remove"
    for note in place.iterdir():
        note.unlink()
    begin(deadly).end("pen")


def test_those_that_live_are_not_counted(tmp_path: Path) -> None:
    with ExitStack() as others:
        for _ in range(MOST + 1):
            others.enter_context(loading(tmp_path))
        begin(tmp_path).end("pen")


def test_several_that_one_event_ends_are_one_death(tmp_path: Path) -> None:
    """A machine's workers share a folder, and load the same model when it starts."""
    for _ in range(MOST):
        begin(tmp_path).end("pen")
        with ExitStack() as others:
            processes = [others.enter_context(loading(tmp_path)) for _ in range(MOST + 1)]
            for process in processes:
                process.kill()
    with pytest.raises(ConfigurationError, match=f"not loaded: {MOST} times"):
        begin(tmp_path)


def test_those_that_a_reboot_ends_did_not_die_of_the_file(tmp_path: Path) -> None:
    for number in range(MOST + 2):
        die(tmp_path, boot=f"boot {number}")
    begin(tmp_path, boot="the last").end("pen")


def test_deaths_before_a_reboot_are_remembered_after_it(tmp_path: Path) -> None:
    for _ in range(MOST - 1):
        die(tmp_path, boot="a")
    die(tmp_path, boot="a")  # by the reboot
    die(tmp_path, boot="b")
    for boot in ("b", "c"):
        with pytest.raises(ConfigurationError, match=f"not loaded: {MOST} times"):
            begin(tmp_path, boot=boot)


def test_where_the_system_has_no_id_of_its_boot_every_death_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(attempts.this_boot()) > 8
    monkeypatch.setattr(attempts, "_BOOT", tmp_path / "none")
    assert attempts.this_boot() == ""
    for _ in range(MOST):
        die(tmp_path, boot="")
    with pytest.raises(ConfigurationError):
        begin(tmp_path, boot="")


def test_one_that_works_is_forgiven_and_one_that_merely_fails_is_not(tmp_path: Path) -> None:
    die(tmp_path)
    die(tmp_path)
    with pytest.raises(ZeroDivisionError), begin(tmp_path).judged("pen"):
        raise ZeroDivisionError
    assert len(notes(tmp_path)) == 2
    with begin(tmp_path).judged("pen"):
        assert len(notes(tmp_path)) == 3
    assert not list(tmp_path.iterdir())


def test_after_what_is_fatal_the_note_stays(tmp_path: Path) -> None:
    found = Attempts(tmp_path, fatal=ZeroDivisionError)
    found.begin("pen", lambda: "file")
    with pytest.raises(ZeroDivisionError), found.judged("pen"):
        raise ZeroDivisionError
    assert len(notes(tmp_path)) == 1
    found.end("pen")


def test_whoever_is_told_to_end_blames_nothing(tmp_path: Path) -> None:
    die(tmp_path)
    die(tmp_path, signal.SIGTERM)
    assert len(notes(tmp_path)) == 1


def test_where_nothing_can_be_written_files_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with begin(tmp_path / "taken").judged("pen"):
        pass
    found = Attempts(tmp_path)
    found.begin("pen", lambda: str((tmp_path / "gone").stat()))
    found.end("pen")
    Attempts(None).begin("pen", lambda: "file")
    assert not notes(tmp_path)


def test_where_there_are_no_locks_files_are_loaded_and_nothing_is_left_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = os.listdir("/proc/self/fd")
    with begin(tmp_path).judged("pen"):
        pass
    assert not notes(tmp_path)
    assert os.listdir("/proc/self/fd") == before


def test_files_that_are_no_notes_count_for_nothing(tmp_path: Path) -> None:
    die(tmp_path)
    [note] = notes(tmp_path)
    for name in ("readme", "a.txt", ".draft"):
        note.with_name(name).touch()
    found = begin(tmp_path)
    assert list(note.parent.glob("1.boot.*")), "one died before"
    found.end("pen")


def test_where_a_note_cannot_be_removed_the_file_is_loaded(tmp_path: Path) -> None:
    found = begin(tmp_path)
    [note] = notes(tmp_path)
    note.unlink()
    note.mkdir()
    with found.judged("pen"):
        pass
    forget_own(tmp_path)
    assert notes(tmp_path) == [note]


def notes(folder: Path) -> list[Path]:
    return list(folder.glob("*/*"))
