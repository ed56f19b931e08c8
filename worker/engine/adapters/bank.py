"""The adapters in memory: loaded beside the step loop, within a budget, the last used ones kept."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias
from weakref import WeakValueDictionary

import structlog

from latentry.errors import NoAdapterRoom
from worker.engine.adapters.reader import SizedAdapter

log = structlog.get_logger()

Key: TypeAlias = tuple[str, str]  # model, and the file's SHA-256
WAITS_S: Final = 10.0  # jobs without room come again every second or so, if they still want it


class Bank:
    """Adapters by model and content. One thread loads at a time, others may find.

    `budget_bytes` bounds all that are in memory: those that are kept here, and those that are not
    but that an image still uses. What was refused is kept room for until it comes again: else
    smaller ones could take what comes free for ever.
    """

    def __init__(self, budget_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.budget_bytes: Final = budget_bytes
        self._clock = clock
        self._refused: tuple[Key, int, float] | None = None  # its size, and when
        self._kept: OrderedDict[Key, SizedAdapter] = OrderedDict()
        self._alive: WeakValueDictionary[Key, SizedAdapter] = WeakValueDictionary()
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """What those in memory take."""
        return sum(one.size_bytes for one in list(self._alive.values()))

    @property
    def keys(self) -> list[Key]:
        """Of those in memory."""
        return list(self._alive.keys())

    def clear(self) -> None:
        """Keep none; those that an image uses stay in memory for it."""
        with self._lock:
            self._kept.clear()

    def forget(self, key: Key) -> None:
        """Find this one no more; as long as an image uses it, it is counted."""
        with self._lock:
            self._kept.pop(key, None)
            if (adapter := self._alive.pop(key, None)) is not None:
                self._alive[f"{key[0]} before {id(adapter)}", key[1]] = adapter

    def find(self, key: Key) -> SizedAdapter | None:
        """The adapter under this key if it is in memory, which counts as its use."""
        with self._lock:
            found = self._alive.get(key)
            if found is not None:
                self._keep(key, found)
            return found

    def get(self, key: Key, size_bytes: int, load: Callable[[], SizedAdapter]) -> SizedAdapter:
        """The adapter under this key; if it is not in memory, what `load` makes, of so many bytes.

        Raises NoAdapterRoom, and what `load` raises.
        """
        if (found := self.find(key)) is not None:
            return found
        with self._lock:
            self._make_room(key, size_bytes)
        loaded = load()
        with self._lock:
            self._alive[key] = loaded
            self._keep(key, loaded)
        log.info("adapter.loaded", model=key[0], sha256=key[1], bytes=loaded.size_bytes)
        return loaded

    def _keep(self, key: Key, adapter: SizedAdapter) -> None:
        self._kept[key] = adapter
        self._kept.move_to_end(key)

    def _make_room(self, key: Key, size_bytes: int) -> None:
        """Drop the least recently used until it fits; one that an image uses stays in memory."""
        needed = size_bytes + self._kept_free(key)
        while self.used_bytes + needed > self.budget_bytes:
            if not self._kept:
                if needed == size_bytes:  # nothing else was refused before
                    self._refused = key, size_bytes, self._clock()
                raise NoAdapterRoom
            least = next(iter(self._kept))
            del self._kept[least]
            if least not in self._alive:
                log.info("adapter.evicted", model=least[0], sha256=least[1])
        if self._refused and self._refused[0] == key:
            self._refused = None

    def _kept_free(self, key: Key) -> int:
        """Bytes for another one, which was refused before and may come again."""
        if self._refused is None or self._refused[0] == key:
            return 0
        _, size_bytes, at = self._refused
        return size_bytes if self._clock() < at + WAITS_S else 0
