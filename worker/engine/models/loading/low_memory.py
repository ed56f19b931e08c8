"""Networks that take less of the device's memory, for a price."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import structlog
import torch
from torch import nn

from latentry.errors import ConfigurationError, ModelNotLoaded
from latentry.low_memory import LowMemory
from worker.engine.device import Device

log = structlog.get_logger()

# Side of a VAE's tile in latent cells: 256 pixels with Stable Diffusion's VAEs.
_TILE: Final = 32
_HOST: Final = torch.device("cpu")


def leaves(part: str, at: Device) -> bool:
    """Whether a part's weights are out of the device's memory while it does not compute."""
    if part.startswith("text_encoder"):
        return LowMemory.TEXT_ENCODERS in at.low_memory
    return part == "unet" and LowMemory.OFFLOAD in at.low_memory


def home(part: str, at: Device) -> Device:
    """Where a part's weights are kept."""
    return replace(at, device=_HOST) if leaves(part, at) else at


def slimmed(
    networks: Mapping[str, nn.Module], at: Device, read_again: Callable[[str], nn.Module]
) -> dict[str, Any]:
    """The networks of a model at home, made to save memory in the ways that `at` says.

    A text encoder leaves a GPU for the computer's memory; on a CPU it is dropped, and is read from
    its files for the next prompt.
    """
    found: dict[str, Any] = dict(networks)
    divide(found["vae"], at.low_memory)
    for name, network in networks.items():
        if not leaves(name, at):
            continue
        if name == "unet":
            _offload(network, at.device)
        elif at.device == _HOST:
            found[name] = VisitingEncoder(network, at.device, partial(read_again, name))
        else:
            found[name] = VisitingEncoder(
                network, at.device, partial(network.to, at.device), partial(network.to, _HOST)
            )
    return found


def divide(vae: Any, ways: frozenset[LowMemory]) -> None:
    """Decode picture by picture, and tile by tile: diffusers' own tiling, blended at the seams."""
    if LowMemory.VAE_SLICES in ways:
        vae.enable_slicing()
    if LowMemory.VAE_TILES in ways:
        vae.enable_tiling()
        vae.tile_latent_min_size = _TILE
        vae.tile_sample_min_size = _TILE * 2 ** (len(vae.config.block_out_channels) - 1)


def _offload(network: nn.Module, device: torch.device) -> None:
    """Each layer's weights are on the device for its turn only. Untried on a GPU: there was none.

    diffusers' group offloading does this and fetches ahead, but fails without accelerate.
    """
    for module in network.modules():
        for weight in module.parameters(recurse=False):
            # Copies from pinned memory are queued like kernels, and nobody waits for them.
            kept = weight.data.pin_memory() if device.type == "cuda" else weight.data
            weight.data = kept
            module.register_forward_pre_hook(partial(_arrive, weight, device))
            module.register_forward_hook(partial(_depart, weight, kept))


def _arrive(weight: nn.Parameter, device: torch.device, *_: Any) -> None:
    weight.data = weight.data.to(device, non_blocking=True)


def _depart(weight: nn.Parameter, kept: torch.Tensor, *_: Any) -> None:
    weight.data = kept


class VisitingEncoder:
    """A text encoder that is in memory only while prompts are encoded.

    `arrive` brings it, and `depart` takes it away.
    """

    def __init__(
        self,
        module: Any,
        device: torch.device,
        arrive: Callable[[], Any],
        depart: Callable[[], object] = lambda: None,
    ) -> None:
        self.config = module.config
        self.device = device
        self.final_layer_norm = getattr(module, "text_model", module).final_layer_norm
        self._arrive = arrive
        self._depart = depart
        self._module: Any = None

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """The encoder's output."""
        return self.enter()(*arguments, **options)

    def enter(self) -> Any:
        """The encoder itself. Raises ModelNotLoaded if its files are gone, or other ones by now."""
        if self._module is None:
            try:
                self._module = self._arrive()
            except ConfigurationError as error:
                log.error("text_encoder.not_read", why=error.message)
                raise ModelNotLoaded("A text encoder of the model cannot be read again.") from error
        return self._module

    def leave(self) -> None:
        """The prompts of a request are encoded: make room."""
        if self._module is not None:
            self._module = None
            self._depart()
