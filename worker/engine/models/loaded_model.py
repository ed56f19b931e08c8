"""A resident model: CLIP, UNet and VAE in memory, and what belongs to them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import torch

from latentry.contracts import ModelCard
from latentry.low_memory import LowMemory
from worker.engine.conditioning import Clip, Conditioner
from worker.engine.device import Device
from worker.engine.inputs.canvas import Canvas
from worker.engine.low_rank.sites import Site, Sites, sites
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.fuse import fuse_projections
from worker.engine.models.motion.unet import with_motion
from worker.engine.samplers.schedule import NoiseSchedule


def vae_factor(vae: Any) -> int:
    """Pixels of a picture for each cell of its latent, along a side."""
    return int(2 ** (len(vae.config.block_out_channels) - 1))


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """The parts of a Stable Diffusion model, on the device `at`.

    strict_rows: rows of every UNet call of strict mode. fingerprint: which model this is, by its
    content; clip_fingerprint: the same with its motion module. taesd: the tiny autoencoder of
    previews, and motion: the UNet with its motion module, if it has them. compiled: the UNet's
    compiled calls by latent height and width and tokens; they come while the model is in use.
    encoded: which VAE says what of the pictures of jobs that are here, with which it leaves.
    """

    card: ModelCard
    schedule: NoiseSchedule
    conditioner: Conditioner
    unet: Any
    vae: Any
    at: Device
    strict_rows: int
    fingerprint: str
    clip_fingerprint: str = ""
    taesd: Any = None
    motion: Any = None
    compiled: dict[tuple[int, int, int], Any] = field(default_factory=dict)
    encoded: WeakKeyDictionary[Canvas, Any] = field(default_factory=WeakKeyDictionary)
    _sites: dict[str, Site] = field(default_factory=dict)

    @classmethod
    def assemble(
        cls,
        blueprint: Blueprint,
        networks: Mapping[str, Any],
        at: Device,
        fingerprint: str,
        clip_fingerprint: str = "",
        readers: Mapping[str, Any] = MappingProxyType({}),
    ) -> "LoadedModel":
        """Join the networks of a blueprint, which are on the device and ready by now.

        `readers`: of tokenizers by name, as in Tokenizer, as far as they are made already.
        """
        adapter = networks.get("motion_adapter")
        # Before projections are fused: that changes the modules that both UNets have.
        motion = None if adapter is None else with_motion(networks["unet"], adapter)
        if at.device.type == "cuda" and LowMemory.OFFLOAD not in at.low_memory:
            fuse_projections(networks["unet"])
        return cls(
            card=blueprint.card,
            schedule=blueprint.schedule,
            conditioner=Conditioner(
                list(_encoders(blueprint, networks, readers)),
                zeros_for_empty=blueprint.is_xl and blueprint.zeros_for_empty,
                takes_score=blueprint.card.limits.refines,
            ),
            unet=networks["unet"],
            vae=networks["vae"],
            at=at,
            strict_rows=blueprint.strict_rows,
            fingerprint=fingerprint,
            taesd=networks.get("taesd"),
            motion=motion,
            clip_fingerprint=clip_fingerprint,
        )

    @property
    def unet_sites(self) -> Sites:
        """The UNet's layers that adapters may change; looked up at their first use."""
        if not self._sites:
            self._sites.update(sites(self.unet))
        return self._sites

    @property
    def vae_factor(self) -> int:
        """Pixels of a picture for each cell of its latent, along a side."""
        return vae_factor(self.vae)

    @property
    def sees_masks(self) -> bool:
        """Whether the UNet takes a mask and a masked latent beside x, as inpainting models do."""
        return bool(self.unet.config.in_channels == 2 * self.vae.config.latent_channels + 1)

    @property
    def edits(self) -> bool:
        """Whether the UNet takes a picture's latent beside x, as InstructPix2Pix models do."""
        return bool(self.unet.config.in_channels == 2 * self.vae.config.latent_channels)

    def latent_shape(self, width: int, height: int, frames: int = 1) -> tuple[int, int, int]:
        """Channels, height and width of the latent of a picture of this size in pixels.

        The VAE's channels: some UNets take a picture's latent beside x, and a mask. A clip's latent
        has its frames one below the other.
        """
        factor = self.vae_factor
        return self.vae.config.latent_channels, frames * (height // factor), width // factor

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
        """Unit noise in fp32 on the CPU, the same as diffusers' randn_tensor for a single picture.

        On the CPU it does not depend on the device. It is drawn in the model's dtype.
        """
        return torch.randn(shape, generator=generator, dtype=self.at.dtype).float()


def _encoders(
    blueprint: Blueprint, networks: Mapping[str, Any], readers: Mapping[str, Any]
) -> Iterator[Clip]:
    for name, tokenizer in blueprint.tokenizers.items():
        network = networks[name.replace("tokenizer", "text_encoder")]
        yield Clip(tokenizer(), network, is_xl=blueprint.is_xl, reader=readers.get(name))
