"""Hashes of a model's weights, found while the process still imports what reads them.

Hashing needs no library and lets go of the interpreter's lock, which imports hold.
"""

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread
from typing import BinaryIO, Final

from latentry.sources import Simulation, Source
from worker.engine.file_state import FileState, file_state
from worker.engine.models.safetensors_header import TensorInfo, read_header

_PARTS: Final = ("text_encoder", "text_encoder_2", "unet", "vae")
_BLOCK_BYTES: Final = 2**24  # each call waits for the lock: few of them


class EarlyDigests:
    """SHA-256 of the tensors in files, by place, as far as a thread has come until it is stopped.

    Of a file that has changed since then none is found, and of one that cannot be read neither:
    whoever loads it says why.
    """

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self._files = tuple(files)
        self._found: dict[tuple[Path, FileState, int, int], str] = {}
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="early digests", daemon=True)

    @classmethod
    def begun(cls, models: Iterable[Source]) -> "EarlyDigests | None":
        """Of the one that is loaded first, in the background already; None if it is not here."""
        first = next((one for one in models if not isinstance(one, Simulation)), None)
        if not isinstance(first, Path):
            return None
        found = cls.of(first)
        found.start()
        return found

    @classmethod
    def of(cls, model: Path) -> "EarlyDigests":
        """Of a single file, or of a folder's parts where there is no choice of precisions."""
        try:
            if model.is_file():
                return cls([model])
            parts = [sorted((model / part).glob("*.safetensors")) for part in _PARTS]
        except OSError:  # as of one that cannot be read
            return cls()
        return cls(files[0] for files in parts if len(files) == 1)

    def start(self) -> None:
        """Begin to hash."""
        self._thread.start()

    def stop(self) -> None:
        """What is not hashed by now is left to whoever reads it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def find(self, file: Path, begin: int, end: int) -> str | None:
        """The hash in hex of these bytes of a file, if it is still the one that was hashed."""
        try:
            return self._found.get((file, file_state(file.stat()), begin, end))
        except OSError:
            return None

    def _run(self) -> None:
        for file in self._files:
            try:
                with file.open("rb", buffering=0) as stream:
                    self._hash(file, stream)
            except (OSError, ValueError):
                continue

    def _hash(self, file: Path, stream: BinaryIO) -> None:
        state = file_state(os.fstat(stream.fileno()))
        infos = sorted(read_header(stream).tensors.values(), key=lambda one: one.begin)
        for info, digest in _digests(stream, infos):
            self._found[file, state, info.begin, info.end] = digest
            if self._stopping.is_set():
                return


def _digests(stream: BinaryIO, infos: Iterable[TensorInfo]) -> Iterator[tuple[TensorInfo, str]]:
    """Of tensors in the order of their bytes. Raises OSError, also if the file was cut short."""
    block, start, end = memoryview(bytearray(_BLOCK_BYTES)), 0, 0
    for info in infos:
        found, at = sha256(), info.begin
        while at < info.end:
            if at >= end:
                start, end = at, at + os.preadv(stream.fileno(), [block], at)
                if end == start:
                    raise OSError("cut short")
            until = min(info.end, end)
            found.update(block[at - start : until - start])
            at = until
        yield info, found.hexdigest()
