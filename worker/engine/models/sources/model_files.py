"""What every source of a model comes down to, and the blueprint that follows from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from latentry.contracts.fields.bounds import MAX_CLIP_FRAMES
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.card import make_card
from worker.engine.models.networks import NETWORKS
from worker.engine.models.overrides import Overrides
from worker.engine.models.part import Part
from worker.engine.models.sources.components import MOTION
from worker.engine.models.sources.supported import (
    Config,
    is_edit_model,
    is_refiner,
    refuse_unsupported_networks,
)
from worker.engine.models.weights import StoredTensor
from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.scheduler_config import as_its_pipeline_reads


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's files before its weights are read, in the terms of a folder in diffusers layout.

    `where` names the source in error messages. `configs` and `weights` are by network, as in
    NETWORKS. `tokenizers`: what makes each. `scheduler`: the scheduler's config. `created`: Unix
    time in seconds. `zeros_for_empty` as in Blueprint. `warnings` as in make_card.
    """

    where: str
    overrides: Overrides
    configs: Mapping[str, Config]
    weights: Mapping[str, Mapping[str, StoredTensor]]
    tokenizers: Mapping[str, Callable[[], Any]]
    scheduler: Config
    created: int
    zeros_for_empty: bool = True
    warnings: tuple[str, ...] = ()

    def blueprint(self, model: str) -> Blueprint:
        """The blueprint under this id. Raises ConfigurationError for what cannot be served."""
        refuse_unsupported_networks(self.where, self.configs)
        scheduler = as_its_pipeline_reads(self.scheduler, is_xl=self._is_xl)
        scheduler |= self.overrides.scheduler
        schedule = NoiseSchedule.from_config(scheduler)
        card = make_card(
            model,
            self.overrides,
            native=_native_size(self.configs["unet"], self.configs["vae"]),
            text_encoders=[
                config for name, config in self.configs.items() if name.startswith("text_encoder")
            ],
            schedule=schedule,
            scheduler=scheduler,
            supports={
                "size_conditioning": self._is_xl,
                "edits": is_edit_model(self.configs["unet"], self.configs["vae"]),
                "refines": is_refiner(self.configs),
                "previews": "taesd" in self.configs,
                "max_frames": self._max_frames,
            },
            created=self.created,
            warnings=self.warnings,
        )
        return Blueprint(
            card=card.model_copy(update={"family": self._family()}),
            schedule=schedule,
            parts={name: self._part(name) for name in self.configs},
            tokenizers=self.tokenizers,
            strict_rows=self.overrides.strict_rows,
            zeros_for_empty=self.zeros_for_empty,
        )

    def _family(self) -> str:
        """Its kind, by what sets the architectures of Stable Diffusion apart."""
        if self._is_xl:
            return "SDXL"
        return "SD 2.x" if self.configs["unet"].get("use_linear_projection") else "SD 1.x"

    @property
    def _is_xl(self) -> bool:
        return "text_encoder_2" in self.configs

    @property
    def _max_frames(self) -> int:
        known: int = self.configs.get(MOTION, {}).get("motion_max_seq_length", 0)
        return min(known, MAX_CLIP_FRAMES)

    def _part(self, name: str) -> Part:
        config = self.configs[name]
        return Part(
            name,
            partial(NETWORKS[name].make, config),
            self.weights[name],
            force_upcast=self._is_xl and name == "vae" and config.get("force_upcast", True),
        )


def _native_size(unet: Config, vae: Config) -> tuple[int, int]:
    """Width and height in pixels; a UNet's config has one side, or height and width."""
    size = unet.get("sample_size") or 64
    factor = 2 ** (len(vae.get("block_out_channels", [64])) - 1)
    height, width = (size, size) if isinstance(size, int) else size
    return width * factor, height * factor
