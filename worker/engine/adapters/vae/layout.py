"""Which network a VAE's file is, and whether it is of a model's latents."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from latentry.errors import AdapterUnusable, ConfigurationError
from worker.engine.adapters.file import AdapterFile, are_finite
from worker.engine.adapters.tensors import read
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.loading.conversion import converted
from worker.engine.models.networks import NETWORKS
from worker.engine.models.part import Part
from worker.engine.models.sources.single_file import names
from worker.engine.models.sources.single_file.configs import vae_config
from worker.engine.models.weights import StoredTensor

# How latents stand to unit variance; files without a config take the model's.
_SCALING: Final = ("scaling_factor", "latents_mean", "latents_std", "shift_factor")
_COMPARED: Final = "encoder.conv_out.weight"
# Cosine of the encoders' last weights: near 1 for VAEs that were trained from each other, whose
# latents mean the same, and 0 for others: SD's and SDXL's have equal shapes.
_KIN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Latents:
    """A model's own VAE: its config, what it is in fp16, and the weights that tell its kin."""

    family: str
    config: Any
    force_upcast: bool
    compared: StoredTensor | None

    @classmethod
    def of(cls, blueprint: Blueprint) -> "Latents":
        """From the model's files."""
        part = blueprint.parts["vae"]
        with torch.device("meta"):
            network: Any = part.make()
        compared = part.weights.get(_COMPARED)
        return cls(blueprint.card.family, network.config, blueprint.is_xl, compared)


def planned(file: AdapterFile, model: Latents) -> Part:
    """The network in a file, for a model whose latents it has. Raises AdapterUnusable."""
    try:
        weights = _weights(file)
        config = file.config or _config(weights, model)
        if config.get("quantization_config"):
            raise AdapterUnusable("It has a quantization_config, which is not supported.")
        part = Part("VAE", partial(NETWORKS["vae"].make, config), weights, _upcasts(config, model))
        with torch.device("meta"):
            network: Any = part.make()
        _refuse_other_latents(network.config, model)
        part.read(_no_weights)
    except ConfigurationError as error:
        raise AdapterUnusable(error.message) from None
    except KeyError as error:
        raise AdapterUnusable(f"It is not whole: it has no {error.args[0]}.") from None
    for name, one in part.weights.items():
        if not are_finite(file.bits(one.info), one.info.dtype):
            raise AdapterUnusable(f"Its {name} has values that are not finite.")
    if file.config is None:
        _refuse_strangers(file, weights, model)
    return part


def _weights(file: AdapterFile) -> Mapping[str, StoredTensor]:
    """Under diffusers' names, of either layout."""
    found = {name: StoredTensor(Path(file.name), one) for name, one in file.header.tensors.items()}
    return names.vae(found)


def _config(weights: Mapping[str, StoredTensor], model: Latents) -> dict[str, Any]:
    """By the shapes of its weights; what shapes do not show is the model's."""
    return {**model.config, **vae_config(weights, model.config.scaling_factor)}


def _upcasts(config: Mapping[str, Any], model: Latents) -> bool:
    """As of a model's own: SDXL's, unless its config says that it stays finite in fp16."""
    return model.force_upcast and bool(config.get("force_upcast", True))


def _refuse_other_latents(config: Any, model: Latents) -> None:
    own, factor = model.config, len(config.block_out_channels)
    if config.latent_channels != own.latent_channels:
        raise AdapterUnusable(
            f"Its latents have {config.latent_channels} channels, this model's"
            f" {own.latent_channels}."
        )
    if factor != len(own.block_out_channels) or (config.in_channels, config.out_channels) != (3, 3):
        raise AdapterUnusable("Its pictures are of another size or kind than this model's.")
    for name in _SCALING:
        has, wanted = getattr(config, name, None), getattr(own, name, None)
        if (has or None) != (wanted or None):
            raise AdapterUnusable(f"Its {name} is {has}, this model's {wanted}.")


def _refuse_strangers(file: AdapterFile, weights: Mapping[str, StoredTensor], own: Latents) -> None:
    """Raises AdapterUnusable if both encoders' last weights have nothing to do with each other."""
    if own.compared is None or own.compared.shape != weights[_COMPARED].shape:
        return
    mine = _floats(read(file, weights[_COMPARED].info))
    theirs = _floats(own.compared.read())
    norms = float(np.linalg.norm(mine) * np.linalg.norm(theirs))
    if norms and float(mine @ theirs) / norms < _KIN:
        raise AdapterUnusable(
            "Its encoder is not akin to this model's, so its latents mean something else. If they"
            " mean the same, give it as a folder with a config.json that has the scaling_factor."
        )


def _floats(tensor: torch.Tensor) -> Any:
    plain = Device(torch.device("cpu"), torch.float32, torch.contiguous_format)
    flat = tensor.reshape(-1)
    return converted([flat], tuple(flat.shape), plain).numpy().astype(np.float64)


def _no_weights(fitted: Mapping[str, StoredTensor]) -> dict[str, torch.Tensor]:
    return {name: torch.empty(one.shape, device="meta") for name, one in fitted.items()}
