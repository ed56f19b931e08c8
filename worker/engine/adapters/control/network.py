"""What the networks of controls have in common: how they fit a UNet, are read, and see pictures."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, cast

import torch

from latentry.contracts import Adapter, AdapterKind
from latentry.errors import AdapterGone, AdapterUnusable, ConfigurationError
from worker.engine.adapters.file import are_finite
from worker.engine.adapters.network_file import NetworkFile, Reading
from worker.engine.device import Device, sent
from worker.engine.inputs.canvas import Pixels
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.loaded_model import vae_factor
from worker.engine.models.loading.conversion import converted
from worker.engine.models.loading.part_reader import own_stream
from worker.engine.models.part import Part
from worker.engine.models.weights import StoredTensor

# The config of a model's UNet, with all defaults; and how many pixels a cell of its latents has.
Target: TypeAlias = tuple[Mapping[str, Any], int]

_NAMES: Final = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def target(blueprint: Blueprint) -> Target:
    """What a network of this model has to fit."""
    with torch.device("meta"):
        unet, vae = (cast(Any, blueprint.parts[one].make()) for one in ("unet", "vae"))
    return dict(unet.config), vae_factor(vae)


def entry_of(
    file: NetworkFile,
    kind: AdapterKind,
    blueprints: Mapping[str, Blueprint],
    part_for: Callable[[Blueprint], Part],
    *,
    family: str,
) -> Adapter:
    """What a file is, and which models it fits; `family` if it fits none. Raises AdapterUnusable.

    part_for: its network as this model would have it; raises AdapterUnusable.
    """
    fitting, why = list[str](), "There is no model that it could fit."
    for model, blueprint in blueprints.items():
        try:
            part_for(blueprint).fitted()
        except (AdapterUnusable, ConfigurationError) as error:
            why = error.message
        else:
            fitting.append(model)
            family = blueprint.card.family
    reading = Reading(file)
    for _ in reading:
        pass
    return Adapter(
        id="",
        kind=kind,
        family=family,
        models=tuple(fitting),
        sha256=reading.sha256,
        autov3=reading.autov3,
        size_bytes=file.size_bytes,
        networks=("unet",),
        reason=None if fitting else "".join(c for c in why[:1000] if c.isprintable()),
    )


def read_network(file: NetworkFile, sha256: str, part: Part, at: Device) -> Any:
    """A part with its weights from a file, by the calling thread alone (docs/decisions/0004).

    Raises AdapterUnusable, or AdapterGone if the file is no longer what it was.
    """
    reading = Reading(file)

    def read_all(fitted: Mapping[str, StoredTensor]) -> Mapping[str, torch.Tensor]:
        places = {stored.info: (name, stored) for name, stored in fitted.items()}
        found = {}
        for published, data in reading:
            if place := places.get(file.tensors[published].info):
                found[place[0]] = _on_device(published, place[1], data, at)
        return found

    try:
        network = part.read(read_all)
    except ConfigurationError as error:
        raise AdapterUnusable(error.message) from None
    if reading.sha256 != sha256:
        raise AdapterGone
    return network


def picture_tensor(picture: Pixels, at: Device) -> torch.Tensor:
    """Bytes [H, W, C] as numbers from 0 to 1 on a device: [1, C, H, W]."""
    values = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    return sent(values, at.device).to(at.dtype, memory_format=at.memory_format)


def _on_device(name: str, stored: StoredTensor, data: bytes, at: Device) -> torch.Tensor:
    values = stored.values(bytearray(data))  # aligned, and writable
    found = converted([values], stored.shape, at)
    flat = found.as_strided((found.numel(),), (1,))  # in whatever order
    if at.dtype in _NAMES and not are_finite(flat.view(torch.uint8).numpy(), _NAMES[at.dtype]):
        raise AdapterUnusable(f"Its {name} is too large for {at.dtype}.")
    if at.device.type == "cpu":
        return found
    with own_stream(at.device):
        return found.to(at.device)
