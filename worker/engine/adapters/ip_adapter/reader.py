"""IP-Adapter as a kind of adapter: a file, and the image encoder beside it."""

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Final

from latentry.contracts import Adapter, AdapterKind
from latentry.errors import AdapterUnusable
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.ip_adapter.attentions import (
    attentions,
    refuse_misfit,
)
from worker.engine.adapters.ip_adapter.encoder import ImageEncoder
from worker.engine.adapters.ip_adapter.encoder_files import EncoderFiles
from worker.engine.adapters.ip_adapter.encoders import Encoders
from worker.engine.adapters.ip_adapter.layout import IPAdapterFile, is_ip_adapter
from worker.engine.adapters.ip_adapter.loaded import LoadedIPAdapter
from worker.engine.adapters.lora.description import described
from worker.engine.adapters.per_model import PerModel
from worker.engine.adapters.reader import Loading
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint

# The width of the prompts that a model's cross attention reads.
_FAMILIES: Final = {768: "SD 1.x", 1024: "SD 2.x", 2048: "SDXL"}


class IPAdapterReader:
    """Reads the files of h94/IP-Adapter and their like."""

    def __init__(self, at: Device, budget_bytes: int) -> None:
        self._at = at
        self._budget_bytes = budget_bytes
        self._encoders = Encoders()
        self._attentions = PerModel(attentions)

    def recognises(self, file: AdapterFile) -> bool:
        """By `image_proj.…` and `ip_adapter.…`."""
        return is_ip_adapter(file)

    def inspect(self, file: AdapterFile, blueprints: Mapping[str, Blueprint]) -> Adapter:
        """What a file is, and which models it fits, perhaps none. Raises AdapterUnusable.

        One without an encoder, or too large with it, fits none, and is listed with the reason.
        """
        parsed = IPAdapterFile.of(file)
        file.refuse_non_finite()
        family = _FAMILIES.get(parsed.width, "")
        fitting, why = dict[str, str](), AdapterUnusable("There is no model that it could fit.")
        for model, blueprint in blueprints.items():
            try:
                refuse_misfit(parsed, self._attentions.of(blueprint))
                fitting[model] = blueprint.card.family
            except AdapterUnusable as error:
                if not family or blueprint.card.family == family:
                    why = error
        family = next(iter(fitting.values()), family)
        if not family:
            raise why
        sha256, reason = file.sha256, None if fitting else why.message
        try:
            files, encoder = self._encoders.find(file, parsed)
            sha256 = _identity(file, encoder)
            self._refuse_large(parsed, files)
        except AdapterUnusable as error:
            fitting, reason = {}, error.message
        entry = described(file, family=family, models=tuple(fitting), rank=0, reason=reason)
        more = {"kind": AdapterKind.IP_ADAPTER, "sha256": sha256, "networks": ("unet",)}
        return entry.model_copy(update=more)

    def plan(self, file: AdapterFile, blueprint: Blueprint) -> Loading:
        """Its layers, and its encoder, which others may have loaded. Raises AdapterUnusable."""
        parsed = IPAdapterFile.of(file)
        file.refuse_non_finite()
        layers = self._attentions.of(blueprint)
        refuse_misfit(parsed, layers)
        files, encoder = self._encoders.find(file, parsed)
        identity = _identity(file, encoder)
        return Loading(
            parsed.size_bytes(self._at.dtype.itemsize),
            partial(LoadedIPAdapter.of, file, parsed, layers, identity, self._at),
            sha256=identity,
            part=Loading(
                files.size_bytes(self._at.dtype),
                partial(ImageEncoder.load, files, encoder, self._at),
                sha256=encoder,
            ),
        )

    def _refuse_large(self, parsed: IPAdapterFile, files: EncoderFiles) -> None:
        """Raises AdapterUnusable for one that no job could ever have loaded."""
        own = parsed.size_bytes(self._at.dtype.itemsize) + files.size_bytes(self._at.dtype)
        if own > self._budget_bytes:
            raise AdapterUnusable(
                f"With its image encoder it takes {own} bytes of memory, and workers keep"
                f" {self._budget_bytes} for adapters (LATENTRY_ADAPTER_MEMORY_BYTES)."
            )


def _identity(file: AdapterFile, encoder: str) -> str:
    """The hash of both: pictures depend on them alike."""
    return hashlib.sha256(f"{file.sha256} {encoder}".encode()).hexdigest()
