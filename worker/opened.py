"""All that can fail to open on this machine, opened before the worker's threads are wired."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from latentry.contracts import AnyCard
from latentry.errors import LatentryError, Unavailable
from latentry.ledger.server import inspection
from latentry.metrics_port import serve_metrics
from latentry.settings import Settings
from latentry.storage import Storage, open_storage
from worker.batching import Costs
from worker.claims.preparation.adapter_cache import AdapterCache
from worker.claims.preparation.adapter_files import AdapterFiles
from worker.cost_file import CostFile
from worker.engine.loop.router import BackendRouter
from worker.metrics import Metrics
from worker.model_files.model_files import ModelFiles
from worker.process.keepalive import Keepalive
from worker.process.watchdog import EXIT_UNUSABLE
from worker.publishing.clip import with_clips
from worker.publishing.signing import Signing, open_signing
from worker.safety.judge import Judge
from worker.safety.opening import open_classifier, with_labels

log = structlog.get_logger()

READING_S: Final = 3600.0  # all adapters, from a slow disk
EXIT_NOT_READY: Final = 75  # EX_TEMPFAIL: its parent tries again
OpenBackend: TypeAlias = Callable[
    [Settings, Keepalive, Mapping[str, Path]], tuple[BackendRouter, Sequence[AnyCard]]
]


@dataclass(frozen=True, slots=True)
class Opened:
    """Models, cost file, storage, the metrics port, and the rest."""

    backend: BackendRouter
    cards: Sequence[AnyCard]
    costs: Costs
    cost_file: CostFile
    storage: Storage
    metrics: Metrics
    models: ModelFiles
    adapters: AdapterFiles
    signing: Signing
    judge: Judge


def open_all(
    settings: Settings, keepalive: Keepalive, compute: Executor, open_backend: OpenBackend
) -> Opened:
    """Open everything. Raises SystemExit with a status if something cannot be used, or not now."""
    metrics = Metrics()
    try:
        inspection.inspect(settings)  # before the models, which take minutes
        models = model_files(settings)
        in_folders = models.open()
        backend, cards = compute.submit(open_backend, settings, keepalive, in_folders).result()
        costs = Costs(max_rows=settings.max_rows, max_slowdown=settings.max_slowdown)
        cost_file = CostFile(costs, settings.data_dir / "costs", backend.identity)
        cost_file.recall()
        storage = open_storage(settings)
        cache = AdapterCache(settings.data_dir / "adapters", backend.adapters.identity)
        shelf = backend.adapters
        adapters = AdapterFiles(settings.adapter_sources, shelf.inspect, cache, shelf)
        keepalive.extend(READING_S)
        judge = Judge(compute.submit(open_classifier, settings).result())
        adapters.open()
        signing = open_signing(settings, metrics)
        serve_metrics(metrics.registry, settings, "worker_metrics_port")
    except Unavailable as error:
        log.error("worker.not_ready", code=error.code, why=error.message)
        raise SystemExit(EXIT_NOT_READY) from error
    except LatentryError as error:
        log.error("worker.unusable", code=error.code, why=error.message)
        raise SystemExit(EXIT_UNUSABLE) from error
    return Opened(
        backend,
        complete(cards, judge),
        costs,
        cost_file,
        storage,
        metrics,
        models,
        adapters,
        signing,
        judge,
    )


def complete(cards: Sequence[AnyCard], judge: Judge) -> Sequence[AnyCard]:
    """The cards, with what this process does with pictures besides drawing them."""
    return with_labels(with_clips(cards), judge.labels)


def model_files(settings: Settings) -> ModelFiles:
    """Those that `LATENTRY_MODELS` names, and those in its folders."""
    sources = settings.model_sources
    pairs = {model: source for model, source in sources.items() if isinstance(source, Path)}
    taken = sources.keys() - pairs.keys()
    return ModelFiles(pairs, settings.model_folders, taken=taken)
