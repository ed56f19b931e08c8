"""A model on its way from its blueprint into memory."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import structlog
import torch

from latentry.errors import ConfigurationError, JobFailed, LatentryError, Unavailable
from latentry.errors.frames import without_frames
from worker.engine.conditioning import reading_all_words
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.models.loading.early_digests import EarlyDigests
from worker.engine.models.loading.fingerprint import fingerprints, vocabulary
from worker.engine.models.loading.low_memory import slimmed
from worker.engine.models.loading.part_reader import PartReader
from worker.engine.shortage import lacked

log = structlog.get_logger()


@contextmanager
def as_configuration_error(model: str) -> Iterator[None]:
    """Turn whatever a model's files make a library raise into a ConfigurationError.

    The device's own errors stay as they are: no file is to blame for them. Nor is one for what the
    machine lacks, such as memory: Unavailable says that.
    """
    try:
        yield
    except (JobFailed, Unavailable, torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except Exception as error:
        if what := lacked(error):
            why = f"This machine does not have enough {what} to load {model}."
            raise Unavailable(why) from error
        if isinstance(error, LatentryError):
            raise
        log.exception("model.not_readable", model=model)
        raise ConfigurationError(
            f"The files of {model} are not usable ({type(error).__name__}: {error})."
        ) from error


class Loading:
    """A model is read and converted in threads of its own, none of it in the step loop's.

    `threads`: how many at once; the loop of models that draw wants the cores too. `began`: when it
    began, on the caller's clock in seconds. `early`: what of it is hashed already.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        at: Device,
        *,
        threads: int = 1,
        began: float = 0.0,
        early: EarlyDigests | None = None,
    ) -> None:
        self.model = blueprint.card.id
        self.began = began
        self._blueprint = blueprint
        self._at = at
        self._reader = PartReader(blueprint.parts, at, threads=threads, early=early)
        self._loaded: LoadedModel | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="loading", daemon=True)

    def start(self) -> None:
        """Begin to read in a thread of its own."""
        self._thread.start()

    def has_read(self, wait_s: float) -> bool:
        """Whether reading has ended, now or within `wait_s` seconds."""
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def read(self) -> None:
        """The whole model, on to its device. Raises ConfigurationError."""
        # Tokenizers take tenths of a second of a core, while files and memory are waited for.
        with ThreadPoolExecutor(1, thread_name_prefix="tokenizers") as beside:
            made = {
                name: beside.submit(make).result
                for name, make in self._blueprint.tokenizers.items()
            }
            words = beside.map(lambda tokenizer: vocabulary(tokenizer()), made.values())
            read = beside.map(lambda tokenizer: reading_all_words(tokenizer()), made.values())
            networks = self._reader.read_all(self._blueprint.parts)
        blueprint = replace(self._blueprint, tokenizers=made)
        found = fingerprints(blueprint, networks, self._reader.digests, words)
        slim = slimmed(networks, self._at, self._reader.read)
        readers = dict(zip(made, read, strict=True))
        self._loaded = LoadedModel.assemble(blueprint, slim, self._at, *found, readers)

    def loaded(self) -> LoadedModel:
        """The model, ready to draw, once it is read; raises what reading ended with otherwise."""
        if self._failure is not None:
            raise self._failure
        assert self._loaded is not None
        return self._loaded

    def _read(self) -> None:
        try:
            with as_configuration_error(self.model):
                self.read()
        except (LatentryError, torch.OutOfMemoryError, torch.AcceleratorError) as error:
            self._failure = without_frames(error)
