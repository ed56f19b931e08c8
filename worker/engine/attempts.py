"""Files that end the process which loads them: after a few times they are refused."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Final

import structlog

from latentry.errors import ConfigurationError

log = structlog.get_logger()

MOST: Final = 3  # processes that die of a file, as of a job
_PROCESS: Final = token_hex(8)  # process ids come again, in a container at each start
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")  # Linux's, another one after each reboot


class Attempts:
    """Notes on disk what is being loaded and tried, so that the next process knows.

    Of a GPU's context that is lost, a segmentation fault or the system's out-of-memory killer no
    process can tell, and the next one would die of the same file. A note is a file that its process
    keeps locked: one that is not is of a process that died. Its name begins with how many rounds
    were fatal when that began: all whom one event ends (a container's end) are one death. Then
    comes the machine's boot, until another process has seen it dead: one that nobody saw dead
    before the next boot was ended by that.
    `fatal`: what a process does not go on after. `machine`: device and software, on another one of
    which a file may well load. `boot`: an id of this boot. Without a folder nothing is noted.
    """

    def __init__(
        self,
        folder: Path | None,
        machine: str = "",
        fatal: type[Exception] = MemoryError,
        boot: str | None = None,
    ) -> None:
        self._folder = folder
        self._machine = machine
        self._fatal = fatal
        self._boot = this_boot() if boot is None else boot
        self._own: dict[str, tuple[Path, int]] = {}

    def begin(self, name: str, identity: Callable[[], str]) -> None:
        """It is loaded from now on, and is the same file as long as its identity stays.

        Raises ConfigurationError if too many processes have died of it.
        """
        if self._folder is None:
            return
        try:
            text = f"{self._machine} {name} {identity()}"
            place = self._folder / sha256(text.encode()).hexdigest()[:16]
            place.mkdir(parents=True, exist_ok=True)
            rounds = _fatal_rounds(place, self._boot)
            if len(rounds) < MOST:
                self._own[name] = _note(place, f"{len(rounds)}.{self._boot}")
                return
        except OSError as error:  # it is loaded all the same
            log.warning("attempt.not_noted", of=name, why=str(error))
            return
        raise ConfigurationError(
            f"{name} is not loaded: {len(rounds)} times the worker died while it loaded or tried "
            f"it. It is tried again once its files change, or {place} is removed."
        )

    @contextmanager
    def judged(self, name: str) -> Iterator[None]:
        """Around the end of it: whatever ends here did not end the process."""
        try:
            yield
        except self._fatal:
            raise
        except BaseException:
            self.end(name)
            raise
        self.end(name, works=True)

    def end(self, name: str, *, works: bool = False) -> None:
        """It is loaded no longer; where it `works`, nobody needs to know who died before."""
        if name not in self._own:
            return
        own, descriptor = self._own.pop(name)
        try:
            notes = own.parent.iterdir() if works else ()
            for note in (own, *(note for note in notes if _is_abandoned(note))):
                note.unlink(missing_ok=True)
            with suppress(OSError):  # another process loads it too
                own.parent.rmdir()
        except FileNotFoundError:  # somebody removed all of them
            return
        except OSError as error:  # it is loaded all the same
            log.warning("attempt.not_forgotten", of=name, why=str(error))
        finally:
            os.close(descriptor)


def forget_own(folder: Path) -> None:
    """This process is told to end: nothing that it loads is to blame."""
    for note in folder.glob(f"*/*.{_PROCESS}"):
        with suppress(OSError):  # it ends all the same
            note.unlink()


def this_boot() -> str:
    """Empty where the system does not say: then reboots count."""
    with suppress(OSError):
        return _BOOT.read_text().strip()
    return ""


def _note(place: Path, began: str) -> tuple[Path, int]:
    """Write this process's note, locked before others see it; its place and descriptor."""
    draft = place / f".{_PROCESS}"
    descriptor = os.open(draft, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return draft.rename(place / f"{began}.{_PROCESS}"), descriptor
    except OSError:  # network drives may have no locks
        os.close(descriptor)
        draft.unlink(missing_ok=True)
        raise


def _fatal_rounds(place: Path, boot: str) -> set[str]:
    """Rounds whose processes died, and not by a reboot: somebody saw that before the next one."""
    rounds = set[str]()
    for note in [one for one in place.glob("*.*.*") if _is_abandoned(one)]:
        number, began_in, *rest = note.name.split(".")
        if began_in == boot:
            with suppress(FileNotFoundError):  # another process does the same
                note.rename(place / ".".join((number, "", *rest)))
        if began_in in ("", boot):
            rounds.add(number)
    return rounds


def _is_abandoned(note: Path) -> bool:
    if note.name.startswith(".") or note.suffix == f".{_PROCESS}":
        return False
    try:
        with note.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):  # it lives, or has just ended well
        return False
    return True
