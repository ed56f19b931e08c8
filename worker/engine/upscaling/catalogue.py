"""Upscalers' files: what LATENTRY_UPSCALERS names, read by spandrel. Nothing is unpickled."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import structlog
import torch

from latentry.contracts import UpscalerCard
from latentry.contracts.upscales import LANCZOS, UPSCALER_ID
from latentry.errors import ConfigurationError, LatentryError
from worker.engine.attempts import Attempts
from worker.engine.background.profile import profile_id
from worker.engine.device import Device, accelerator, processor
from worker.engine.file_state import file_state
from worker.engine.models.loading.loading import as_configuration_error
from worker.engine.models.weights import read_in_order, stored_in
from worker.engine.timing import Timing
from worker.engine.upscaling.network import Network
from worker.engine.upscaling.reading import read_network, spandrel_version

log = structlog.get_logger()

# Of a network's input. With what overlaps, a call of ESRGAN's 23 blocks takes about 0.7 of one that
# an SD 1.5 UNet makes for one image.
TILE_PX: Final = 160
_SUFFIX: Final = ".safetensors"
_PICKLES: Final = (".pth", ".pt", ".ckpt", ".bin")
_TEST_PX: Final = 32
_PURPOSES: Final = {
    "FaceSR": "faces",
    "Inpainting": "inpainting",
    "Restoration": "restoration",
    "SR": "pictures of the same size",
}


def upscaler_files(sources: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """The files of `LATENTRY_UPSCALERS` by id, of which the first of a name counts.

    A folder's are those directly in it. Files whose names are no ids are left out, and logged.
    """
    found: dict[str, Path] = {}
    for given, path in sources:
        files = _in_folder(path) if path.is_dir() else [path]
        for file in files:
            id = given or file.stem
            if not re.fullmatch(UPSCALER_ID, id) or id == LANCZOS or (given and path.is_dir()):
                log.error("upscaler.unusable", upscaler=id, why=f"{file} needs an id: id=path.")
            elif found.setdefault(id, file) is not file:
                log.error("upscaler.unusable", upscaler=id, why=f"{file} has an id that is taken.")
    return found


def _in_folder(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    for file in files:
        if file.suffix.lower() in _PICKLES:
            log.error("upscaler.unusable", upscaler=file.stem, why=f"{file} is a pickle.")
    return [file for file in files if file.suffix.lower() == _SUFFIX]


def open_upscalers(
    sources: Iterable[tuple[str, Path]],
    at: Device,
    budget_bytes: int = 0,
    attempts: Attempts | None = None,
) -> Iterator[Network]:
    """Load and try each; one that cannot be used is left out, and logged by name.

    `budget_bytes` bounds the weights of all of them, which stay in memory; 0 sets no bound.
    `attempts`: of which the process may die.
    """
    used_bytes, attempts = 0, attempts or Attempts(None)
    for id, file in upscaler_files(sources).items():
        try:
            attempts.begin(id, partial(_identity, file))
            with as_configuration_error(id):
                with attempts.judged(id):
                    network = load(id, file, at)
                _refuse_larger(network, budget_bytes, used_bytes)
                used_bytes += network.size_bytes
                yield network
        except (LatentryError, torch.OutOfMemoryError) as error:
            log.error("upscaler.unusable", upscaler=id, why=str(error))


def _identity(file: Path) -> str:
    return f"{file} {file_state(file.stat())}"


def _refuse_larger(network: Network, budget_bytes: int, used_bytes: int) -> None:
    if 0 < budget_bytes < used_bytes + network.size_bytes:
        raise ConfigurationError(
            f"The weights of {network.card.id} take {network.size_bytes} bytes beside {used_bytes} "
            f"of other upscalers; LATENTRY_MODEL_MEMORY_BYTES allows {budget_bytes}."
        )


def load(id: str, file: Path, at: Device) -> Network:
    """A network from a safetensors file, proved on a small picture. Raises ConfigurationError."""
    if file.suffix.lower() != _SUFFIX:
        raise ConfigurationError(
            f"{file} is not a .safetensors file; pickles are not loaded, because they can run code."
        )
    stored, _ = stored_in(file)
    weights = read_in_order(stored)
    network = read_network(str(file), weights)
    _refuse_others(file, network)
    dtype = torch.float32  # in bfloat16 neighbouring levels of 8 bits would be one
    if at.device.type == "cuda" and at.dtype is torch.float16 and network.supports_half:
        dtype = torch.float16
    network.to(at.device, dtype).eval()
    network.model.requires_grad_(False)
    card = UpscalerCard(
        id=id,
        architecture=network.architecture.name,
        scale=network.scale,
        default_scale=network.scale,
        tile=_tile(network),
        created=int(file.stat().st_mtime),
        warnings=tuple(_warnings(network)),
    )
    profile = _profile(card, weights, at, dtype)
    made = Network(card, network, at.device, dtype, Timing(at.device), profile)
    test_s = _prove(made) * (card.tile / _TEST_PX) ** 2
    log.info("upscaler.loaded", upscaler=id, architecture=card.architecture, scale=card.scale)
    return replace(made, test_s=test_s)


def _refuse_others(file: Path, network: Any) -> None:
    """Raises ConfigurationError for what does not enlarge a picture of any kind."""
    name, purpose = network.architecture.name, network.purpose
    if purpose != "SR" or network.scale < 2:
        what = _PURPOSES.get(purpose, "another purpose")
        raise ConfigurationError(f"{file} is a network for {what} ({name}), not for enlarging.")
    if (network.input_channels, network.output_channels) != (3, 3):
        raise ConfigurationError(f"{file} is a network for other than RGB pictures ({name}).")
    if network.tiling.name == "INTERNAL":
        raise ConfigurationError(f"{file} cannot be given a picture in tiles ({name}).")


def _tile(network: Any) -> int:
    """TILE_PX, or the next size that the network takes without padding."""
    step = int(network.size_requirements.multiple_of)
    least = max(TILE_PX, int(network.size_requirements.minimum))
    return -(-least // step) * step


def _warnings(network: Any) -> Iterator[str]:
    if network.tiling.name == "DISCOURAGED":
        yield "It looks at more of a picture than a tile shows: seams may be visible."


def _profile(
    card: UpscalerCard, weights: Mapping[str, torch.Tensor], at: Device, dtype: torch.dtype
) -> str:
    """The id of what its bits depend on."""
    found = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    is_cpu = at.device.type == "cpu"
    return profile_id(
        found.hexdigest(),
        f"{card.architecture} {card.scale} {card.tile} {dtype}",
        processor() if is_cpu else accelerator(at.device),
        str(torch.get_num_threads() if is_cpu else 1),
        f"torch {torch.__version__} spandrel {spandrel_version()}",
    )


def _prove(network: Network) -> float:
    """Enlarge a small grey picture; in how many seconds. Raises ConfigurationError if that does not
    come out.
    """
    began = perf_counter()
    side, scale = _TEST_PX, int(network.card.scale)
    grey = torch.full((1, 3, side, side), 0.5, device=network.device, dtype=network.dtype)
    made, finite = network.enlarged(grey)
    if tuple(made.shape) != (3, side * scale, side * scale):
        raise ConfigurationError(f"{network.card.id} makes pictures of another size than it says.")
    if not bool(finite):
        raise ConfigurationError(f"{network.card.id} makes values that are no numbers.")
    return perf_counter() - began
