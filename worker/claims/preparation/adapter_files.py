"""The adapters' files of this worker: found in folders, looked at again when they change."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import structlog

from latentry.contracts import Adapter, AdapterKind
from latentry.contracts.fields.adapters.lora import ADAPTER_ID
from latentry.errors import AdapterUnusable, ConfigurationError
from latentry.rules.adapters.few_steps import suggestion
from latentry.sources import AdapterSource
from worker.claims.preparation.adapter_cache import AdapterCache
from worker.claims.preparation.pickles import is_pickle, pickles, refused
from worker.engine.adapters.beside import IMAGE_ENCODER, State, image_encoders, state_of
from worker.engine.adapters.file import parts_of_folder
from worker.engine.loop.backend import Shelf
from worker.process.exit_on_failure import critical_thread

log = structlog.get_logger()

LOOK_S: Final = 5.0
_SUFFIX: Final = ".safetensors"
_MAX_WHY: Final = 1000


@dataclass(frozen=True, slots=True)
class _Seen:
    """A path, and what its files were when they were read; without an entry it is unusable."""

    path: Path
    state: State
    entry: Adapter | None


class AdapterFiles:
    """Reads each file when it is new or has changed. `inspect` may raise AdapterUnusable.

    Ids are file names without their ending; of two files with one name the first counts. `shelf`:
    all files are read again where it has another edition of its models.
    """

    def __init__(
        self,
        sources: Sequence[AdapterSource],
        inspect: Callable[[Path], Adapter],
        cache: AdapterCache | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self._sources = sources
        self._inspect = inspect
        self._cache = cache
        self._shelf = shelf
        self._edition = shelf.edition if shelf else 0
        self._is_outdated = False
        self._seen: Mapping[str, _Seen] = {}
        self._looking = threading.Lock()
        self._stopping = threading.Event()
        self._thread = critical_thread("adapters", self._run)

    def open(self) -> None:
        """Look for the first time. Raises ConfigurationError for a path that does not exist."""
        for source in self._sources:
            if not source.path.exists():
                raise ConfigurationError(
                    f"LATENTRY_ADAPTERS names {source.path}, which does not exist."
                )
        if self._cache is not None:
            self._cache.recall()
        self.look()

    def start(self) -> None:
        """Look again every few seconds, if there is anything to look at."""
        if self._sources:
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def entries(self) -> tuple[Adapter, ...]:
        """Those that can be used, by id. From any thread."""
        return tuple(one.entry for _, one in sorted(self._seen.items()) if one.entry)

    def path(self, sha256: str) -> Path | None:
        """Where a file of this content was when it was last looked at. From any thread."""
        for one in self._seen.values():
            if one.entry is not None and one.entry.sha256 == sha256:
                return one.path
        return None

    def find(self, sha256: str) -> Path | None:
        """As `path`, but looks once more before it says None. From any thread.

        Another worker may have seen a new file, and a job been accepted with it, a little earlier.
        """
        if (known := self.path(sha256)) is None:
            self._look_if_readable()
            known = self.path(sha256)
        return known

    def look(self) -> None:
        """Look at all files, and read those that are new or changed."""
        with self._looking:
            self._notice_models()
            self._look()
            if self._cache is not None and not self._has_other_models:
                rows = ((one.path, one.state, one.entry) for one in self._seen.values())
                self._cache.keep((path, state, entry) for path, state, entry in rows if entry)

    def _notice_models(self) -> None:
        """What is known of all files was said of other models."""
        if self._shelf is None or not self._has_other_models:
            return
        edition = self._shelf.edition  # before their identity
        if self._cache is not None:
            self._cache.turn_to(self._shelf.identity)
            self._cache.recall()
        self._edition, self._is_outdated = edition, True

    @property
    def _has_other_models(self) -> bool:
        """Whether models have changed since: what was read meanwhile is of the one or the other."""
        return self._shelf is not None and self._shelf.edition != self._edition

    def _look(self) -> None:
        found: dict[str, _Seen] = {}
        beside = cache(_beside)
        for name, path in self._named():
            if name in found:
                is_new = found[name].path != path and name not in self._seen
                if is_new and not is_pickle(path):  # it was converted, and left there
                    log.error("adapter.name_twice", adapter=name, path=str(path))
                continue
            if not (state := state_of([path])):  # it is gone by now
                continue
            state += beside(path.parent)
            found[name] = self._known(name, path, state) or self._read(name, path, state)
        for name in self._seen.keys() - found.keys():
            log.info("adapter.gone", adapter=name)
        self._seen, self._is_outdated = found, False

    def _known(self, name: str, path: Path, state: State) -> _Seen | None:
        before = None if self._is_outdated else self._seen.get(name)
        return before if before and (before.path, before.state) == (path, state) else None

    def _read(self, name: str, path: Path, state: State) -> _Seen:
        try:
            # A name that is no UTF-8 has surrogates, which the catalogue's JSON cannot carry.
            if not (re.fullmatch(ADAPTER_ID, name) and name.isprintable()):
                raise AdapterUnusable("Its name has a letter that no id may have.")
            entry = _named(self._entry(path, state), name)
        except AdapterUnusable as error:
            why = error.message[:_MAX_WHY]  # it may quote names from the file's header
            log.error("adapter.unusable", adapter=name, path=str(path), why=why)
            return _Seen(path, state, None)
        except Exception:  # one odd file must not end the worker
            log.exception("adapter.unusable", adapter=name, path=str(path))
            return _Seen(path, state, None)
        if entry.reason:
            event = "adapter.unusable" if is_pickle(path) else "adapter.fits_no_model"
            log.warning(event, adapter=name, path=str(path), why=entry.reason)
        log.info("adapter.found", adapter=name, family=entry.family, models=entry.models)
        return _Seen(path, state, entry)

    def _entry(self, path: Path, state: State) -> Adapter:
        if is_pickle(path):
            return refused(path)
        known = self._cache and self._cache.find(path, state)
        return known or self._inspect(path)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            self._look_if_readable()

    def _look_if_readable(self) -> None:
        try:
            self.look()
        except OSError as error:  # a disk that is away may come back
            log.warning("adapters.not_read", why=str(error))

    def _named(self) -> Iterator[tuple[str, Path]]:
        """Ids and paths: pairs first, then folders in their order, each by name; pickles last."""
        for source in self._sources:
            if source.id:
                yield source.id, source.path
        for source in self._sources:
            if not source.id:
                for path in _in_folder(source.path):
                    yield (path.name if path.is_dir() else path.stem), path
        for source in self._sources:
            if not source.id:
                yield from ((path.stem, path) for path in pickles(source.path))


def _named(entry: Adapter, name: str) -> Adapter:
    """The entry with its id, and with what is known of a LoRA by its names."""
    is_lora = entry.kind is AdapterKind.LORA
    suggests = suggestion((name, entry.title)) if is_lora else None
    return entry.named(name).model_copy(update={"suggests": suggests})


def _in_folder(folder: Path) -> list[Path]:
    """Files, and folders of one adapter, in it at whatever depth, the upper ones first."""
    files = [path for path in folder.rglob(f"*{_SUFFIX}") if path.parent.name != IMAGE_ENCODER]
    folders = {one for one in {path.parent for path in files} if parts_of_folder(one)}
    found = [*(path for path in files if path.parent not in folders), *folders]
    return sorted(found, key=lambda path: (len(path.parts), str(path)))


def _beside(folder: Path) -> State:
    """Of the image encoders that files in a folder may need."""
    return state_of(image_encoders(folder))
