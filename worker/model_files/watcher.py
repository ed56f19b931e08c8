"""The thread that looks at models' files every few seconds, and tells the step loop."""

import threading
from collections.abc import Callable, Collection, Iterator
from typing import Final

import structlog

from latentry.contracts import ModelCard
from latentry.errors import LatentryError, Unavailable
from worker.claims.inbox import Inbox, ModelChanged
from worker.engine.loop.stored import ModelReader
from worker.model_files.found import Found
from worker.model_files.model_files import ModelFiles
from worker.process.exit_on_failure import critical_thread

log = structlog.get_logger()

LOOK_S: Final = 5.0


class ModelWatcher:
    """Reads models that are new or were replaced, and posts what becomes of all.

    Nothing that a file holds ends the worker: what cannot be used is said in the log, once until
    it changes. `served`: the models that could be used at the start. `complete` adds to a card what
    `reader` does not know; without one there is nothing to look at.
    """

    def __init__(
        self,
        files: ModelFiles,
        reader: ModelReader | None,
        inbox: Inbox,
        served: Collection[str],
        complete: Callable[[ModelCard], ModelCard] = lambda card: card,
    ) -> None:
        self._files = files
        self._reader = reader
        self._inbox = inbox
        self._served = set(served)
        self._complete = complete
        self._unread: dict[str, Found] = {}  # what the machine had too little for
        self._on_found: Callable[[str], None] = lambda _: None
        self._stopping = threading.Event()
        self._thread = critical_thread("models", self._run)

    def start(self, on_found: Callable[[str], None] = lambda _: None) -> None:
        """Look again every few seconds; `on_found` is told each model before it is served."""
        self._on_found = on_found
        if self._reader is not None:
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Post what has become of models since the last look."""
        try:
            changes = self._files.look()
        except OSError as error:  # a disk that is away may come back
            log.warning("models.not_read", why=str(error))
            return
        for model in changes.gone:
            self._unread.pop(model, None)
            self._inbox.post(*self._without(model))
        for model, found in {**self._unread, **changes.there}.items():
            self._inbox.post(*self._with(model, found))

    def _with(self, model: str, found: Found) -> Iterator[ModelChanged]:
        assert self._reader is not None, "what is found can be read"
        self._unread.pop(model, None)
        try:
            card, blueprint = self._reader.read(model, found.path)
        except Unavailable as error:  # this machine may have what it lacks at the next look
            log.warning("model.not_read", model=model, why=error.message)
            self._unread[model] = found
            return
        except LatentryError as error:
            log.error("model.unusable", model=model, code=error.code, why=error.message)
            yield from self._without(model)
            return
        except Exception:  # one odd file must not end the worker
            log.exception("model.unusable", model=model, path=str(found.path))
            yield from self._without(model)
            return
        for warning in card.warnings:
            log.warning("model.warning", model=model, warning=warning)
        self._served.add(model)
        self._on_found(model)
        yield ModelChanged(model, self._complete(card), blueprint)

    def _without(self, model: str) -> Iterator[ModelChanged]:
        if model in self._served:
            self._served.remove(model)
            yield ModelChanged(model)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            self.look()
