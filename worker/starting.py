"""A worker that starts says which models it will have: until then nobody ends the jobs of these."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import structlog

from latentry.contracts.background.captions import CAPTIONER
from latentry.contracts.upscales import upscaler_queue
from latentry.errors import LedgerUnavailable
from latentry.ledger import Ledger, commands
from latentry.settings import Settings
from worker.process.exit_on_failure import critical_thread
from worker.process.keepalive import Keepalive

log = structlog.get_logger()

EVERY_S: Final = 60.0
T = TypeVar("T")


class Starting:
    """Says so until `stop`, from a thread of its own: a model may take long to load."""

    def __init__(self, settings: Settings, worker: str, *, every_s: float = EVERY_S) -> None:
        self._settings = settings
        self._worker = worker
        self._every_s = every_s
        self._queues: list[str] = []
        self._ended = threading.Event()
        self._thread = critical_thread("starting", self._run)

    def before(
        self, open_backend: Callable[[Settings, Keepalive, Mapping[str, Path]], T]
    ) -> Callable[[Settings, Keepalive, Mapping[str, Path]], T]:
        """The same, after it has begun to say so."""

        def begin_and_open(
            settings: Settings, keepalive: Keepalive, in_folders: Mapping[str, Path]
        ) -> T:
            self.begin(in_folders)
            return open_backend(settings, keepalive, in_folders)

        return begin_and_open

    def begin(self, in_folders: Iterable[str] = ()) -> None:
        """What settings name, and these models. Raises ConfigurationError."""
        self._queues = [*_named(self._settings), *in_folders]
        self._ledger = Ledger.open(self._settings)
        self._thread.start()

    def stop(self) -> None:
        """The worker's heartbeat says it from now on."""
        self._ended.set()
        self._thread.join()
        self._ledger.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._ledger.run(commands.starting(self._worker, self._queues))
            except LedgerUnavailable as error:
                log.warning("ledger.unavailable", doing="start", why=str(error))
            self._ended.wait(self._every_s)


def _named(settings: Settings) -> Iterator[str]:
    """The queues of what settings name, usable or not: nothing of it is read so far."""
    yield from settings.model_sources
    for id, path in settings.upscaler_sources:
        with suppress(OSError):  # whoever reads it says so
            files = path.iterdir() if path.is_dir() else [path]
            yield from [upscaler_queue(id or file.stem) for file in files]
    if settings.captioner:
        yield CAPTIONER
