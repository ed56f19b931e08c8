"""The ledger's catalogue of models and their queues, cached for a second."""

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Final, TypeVar

import structlog

from latentry.contracts import Adapter, AdapterList, CaptionerCard
from latentry.ledger import (
    AnyEntry,
    AsyncLedger,
    CaptionerEntry,
    CatalogueEntry,
    PreprocessorsEntry,
    UpscalerEntry,
    commands,
)
from latentry.ledger.catalogue import ADAPTERS_DIFFER

FRESH_S: Final = 1.0
DIFFER_S: Final = 30.0  # workers find a new file some seconds one after the other

_CAPTIONERS_DIFFER: Final = "Which of them makes a caption is chance: workers need the same."

E = TypeVar("E")

log = structlog.get_logger()


class Catalogue:
    """Reads all that workers serve from the ledger, at most once every FRESH_S seconds."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self._ledger = ledger
        self._entries: tuple[CatalogueEntry, ...] = ()
        self._upscalers: tuple[UpscalerEntry, ...] = ()
        self._preprocessors: PreprocessorsEntry | None = None
        self._captioner: CaptionerEntry | None = None
        self._read_at = float("-inf")
        self._differ_since: dict[str, float] = {}
        self._warned: set[str] = set()
        # When each was last read, and the name of its folder, by what is in it.
        self._captioners: dict[str, tuple[float, str]] = {}
        self._captioners_differ = False
        self._lists: dict[str, tuple[Adapter, ...]] = {}
        self._listed: list[tuple[tuple[Adapter, ...], Mapping[str, int]]] = []
        self._listing = AdapterList(data=[]).model_dump_json()

    async def entries(self, *, including: str = "") -> tuple[CatalogueEntry, ...]:
        """All models by id, at most FRESH_S old; read anew if the model `including` is missing.

        Raises LedgerUnavailable.
        """
        is_known = any(including in ("", entry.card.id) for entry in self._entries)
        if is_known and self._is_fresh:
            return self._entries
        await self.read()
        return self._entries

    async def adapters(self) -> str:
        """`GET /v1/adapters` as JSON; made when adapters have changed, as there may be thousands.

        Raises LedgerUnavailable.
        """
        entries = await self.entries()
        listed = [(entry.adapters, entry.held) for entry in entries]
        if listed != self._listed:
            self._listing = AdapterList(data=adapters_of(entries)).model_dump_json()
            self._listed = listed
        return self._listing

    async def upscalers(self) -> tuple[UpscalerEntry, ...]:
        """All upscalers by id, as `entries` has the models. Raises LedgerUnavailable."""
        if not (self._upscalers and self._is_fresh):
            await self.read()
        return self._upscalers

    async def preprocessors(self) -> PreprocessorsEntry | None:
        """The preprocessors, at most FRESH_S old. Raises LedgerUnavailable."""
        if not self._is_fresh:
            await self.read()
        return self._preprocessors

    async def captioner(self) -> CaptionerEntry | None:
        """The captioner, likewise; most services have none."""
        if not self._is_fresh:
            await self.read()
        return self._captioner

    async def read(self) -> tuple[AnyEntry, ...]:
        """All that workers serve, read from the ledger. Raises LedgerUnavailable."""
        found = await self._ledger.run(commands.list_models(self._lists))
        entries = sorted(found, key=lambda entry: entry.card.id)
        self._entries = tuple(one for one in entries if isinstance(one, CatalogueEntry))
        self._lists = {one.digest: one.adapters for one in self._entries if one.digest}
        self._upscalers = tuple(one for one in entries if isinstance(one, UpscalerEntry))
        self._preprocessors = _first(PreprocessorsEntry, entries)
        self._captioner = _first(CaptionerEntry, entries)
        self._read_at = monotonic()
        self._warn(one.card.id for one in self._entries if one.adapters_differ)
        if self._captioner is not None:
            self._warn_of_captioners(self._captioner.card)
        return tuple(entries)

    def _warn(self, differing: Iterable[str]) -> None:
        """Say once which models' workers have had different adapters for a while."""
        now = monotonic()
        self._differ_since = {model: self._differ_since.get(model, now) for model in differing}
        lasting = {model for model, at in self._differ_since.items() if now - at >= DIFFER_S}
        for model in lasting - self._warned:
            log.warning("adapters.differ", model=model, why=ADAPTERS_DIFFER)
        self._warned = lasting

    def _warn_of_captioners(self, card: CaptionerCard) -> None:
        """Say once that workers have different ones: their card changes to and fro."""
        now, content = monotonic(), card.fingerprint
        lately = {one: read for one, read in self._captioners.items() if now - read[0] < DIFFER_S}
        is_back = content in lately and content != max(lately, key=lambda one: lately[one])
        self._captioners = lately | {content: (now, card.captioner)}
        if is_back and not self._captioners_differ:
            found = sorted(f"{name} {one[:8]}" for one, (_, name) in lately.items())
            log.warning("captioners.differ", captioners=found, why=_CAPTIONERS_DIFFER)
        self._captioners_differ = len(lately) > 1 and (is_back or self._captioners_differ)

    @property
    def _is_fresh(self) -> bool:
        return monotonic() - self._read_at < FRESH_S


def _first(kind: type[E], entries: Iterable[object]) -> E | None:
    return next((one for one in entries if isinstance(one, kind)), None)


def adapters_of(entries: Sequence[CatalogueEntry]) -> list[Adapter]:
    """The adapters of all models' workers by id, each file once, with all models that it fits and
    how many workers have it in memory.
    """
    found: dict[tuple[str, str], Adapter] = {}
    for entry in entries:
        for one in entry.adapters:
            known = found.setdefault((one.id, one.sha256), one)
            if new := set(one.models) - set(known.models):
                models = (*known.models, *(model for model in one.models if model in new))
                found[one.id, one.sha256] = known.model_copy(update={"models": models})
    held = {sha256: count for entry in entries for sha256, count in entry.held.items()}
    for key, one in found.items():
        if count := held.get(one.sha256):
            found[key] = one.model_copy(update={"resident_on": count})
    return [found[key] for key in sorted(found)]
