"""A pinned model from a hub, out of the local cache or into it."""

from pathlib import Path
from typing import Final

import structlog
from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import disable_progress_bars

from latentry.errors import ConfigurationError, Unavailable
from latentry.sources import HubPin
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.networks import NETWORKS
from worker.engine.models.overrides import OVERRIDES_FILE
from worker.engine.models.sources.components import TOKENIZERS
from worker.engine.models.sources.folder import blueprint_from_folder
from worker.engine.models.sources.part_files import choose_files

log = structlog.get_logger()

_CONFIGS: Final = (
    "model_index.json",
    OVERRIDES_FILE,
    "scheduler/scheduler_config.json",
    *(f"{part}/config.json" for part in NETWORKS),
    *(
        f"{part}/{name}"
        for part in TOKENIZERS
        for name in (
            "added_tokens.json",
            "merges.txt",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.json",
        )
    ),
)


# Errors that another try would only meet again.
_PERMANENT: Final = (
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)


def blueprint_from_pin(
    model: str,
    pin: HubPin,
    *,
    prefer_fp16: bool,
    endpoint: str | None = None,
    cache: Path | None = None,
) -> Blueprint:
    """Read a model of a hub as a folder; what the cache lacks is fetched first.

    The cache, its place and the token for private repositories are huggingface_hub's own: HF_HOME,
    HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE. Raises ConfigurationError, and Unavailable where another
    try may succeed.
    """
    why = "is not in the cache"
    index = try_to_load_from_cache(pin.repo, "model_index.json", cache, pin.commit)
    if isinstance(index, str):
        try:
            return blueprint_from_folder(model, Path(index).parent, prefer_fp16=prefer_fp16)
        except ConfigurationError as error:
            # Not complete: a fetch that was interrupted leaves what it had.
            log.info("hub.incomplete", model=model, source=str(pin), why=error.message)
            why = f"is not usable as it is in the cache ({error.message})"
    fetched = _fetch(pin, prefer_fp16, endpoint, cache, why=why)
    return blueprint_from_folder(model, fetched, prefer_fp16=prefer_fp16)


def _fetch(
    pin: HubPin, prefer_fp16: bool, endpoint: str | None, cache: Path | None, *, why: str
) -> Path:
    """The folder of the cache into which the needed files were fetched; `why` they were."""
    log.info("hub.fetching", source=str(pin))
    disable_progress_bars()
    try:
        files = HfApi(endpoint).list_repo_files(pin.repo, revision=pin.commit)
        fetched = snapshot_download(
            pin.repo,
            revision=pin.commit,
            allow_patterns=_wanted(files, prefer_fp16),
            cache_dir=cache,
            endpoint=endpoint,
        )
    except Exception as error:  # every release of the client has its own for "no network"
        failure = ConfigurationError if isinstance(error, _PERMANENT) else Unavailable
        raise failure(
            f"{pin} {why} and cannot be fetched ({type(error).__name__}). "
            "Fetch it where there is a network, with the same HF_HOME, or point at a folder."
        ) from error
    return Path(fetched)


def _wanted(files: list[str], prefer_fp16: bool) -> list[str]:
    """Of a repository's files the configs, the vocabularies and one set of weights, all by name."""
    wanted = [name for name in files if name in _CONFIGS]
    for part, network in NETWORKS.items():
        names = [name.removeprefix(f"{part}/") for name in files if name.startswith(f"{part}/")]
        chosen = choose_files(names, network.stem, prefer_fp16=prefer_fp16)
        # With several files also what tells which shards belong together.
        indexes = [name for name in names if ".index" in name and name.endswith(".json")]
        wanted += [f"{part}/{name}" for name in (chosen + indexes if len(chosen) > 1 else chosen)]
    return wanted
