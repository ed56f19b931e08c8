"""What a file holds beside weights: marks of how it was trained, and its noise levels."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from latentry.errors import ConfigurationError
from worker.engine.models.sources.single_file.configs import Weights
from worker.engine.models.weights import StoredTensor
from worker.engine.samplers.schedule import NoiseSchedule

# An empty tensor by which trainers mark zero terminal SNR.
ZERO_SNR_MARK: Final = "ztsnr"
_ZERO_SNR: Final = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
# ComfyUI's marks of CosXL and Playground v2.5, which were trained by EDM (arXiv:2206.00364).
_EDM: Final = ("edm_mean", "edm_std", "edm_vpred.")
# Files in half precision and in fp8 round their buffers as well: relative error by bytes a value.
# E5M2 keeps two bits after the first: half a step is up to an eighth of what is stored.
_ROUNDING: Final = {1: 0.13, 2: 0.01}
_EXACT: Final = 1e-3


def refuse_edm(where: str, weights: Weights) -> None:
    """Raise ConfigurationError for a model whose noise levels and scales are EDM's."""
    if marks := [name for name in weights if name.startswith(_EDM)]:
        raise ConfigurationError(
            f"{where} was trained by EDM, as CosXL and Playground v2.5 were ({marks[0]}); EDM "
            "models are not supported."
        )


def zero_snr(weights: Weights) -> dict[str, Any]:
    """The entries of a scheduler's config for a file that is marked so."""
    return dict(_ZERO_SNR) if ZERO_SNR_MARK in weights else {}


def refuse_other_scaling(where: str, weights: Weights, scaling_factor: float) -> None:
    """Raise ConfigurationError if the file holds another scaling factor of its VAE.

    ldm saves it as `scale_factor` where it was measured.
    """
    stored = weights.get("scale_factor")
    if stored is not None and not _agree(stored, np.array([scaling_factor])):
        raise ConfigurationError(
            f"{where} holds the scale_factor {float(stored.read())}; its family has "
            f"{scaling_factor}. A .yaml beside it with that scale_factor is obeyed."
        )


def refuse_other_levels(where: str, weights: Weights, schedule: NoiseSchedule) -> None:
    """Raise ConfigurationError if the file holds other noise levels than those of the schedule.

    ldm saves them as `alphas_cumprod`, sgm as `denoiser.sigmas`, in either order.
    """
    unscaled = schedule.with_terminal_signal()
    known: dict[str, tuple[npt.NDArray[Any], ...]] = {
        "alphas_cumprod": (schedule.alphas_cumprod, schedule.unscaled),
        "denoiser.sigmas": (schedule.sigmas, unscaled.sigmas),
    }
    for name, levels in known.items():
        if name in weights and not any(_agree(weights[name], one) for one in levels):
            raise ConfigurationError(
                f"{where} holds other noise levels ({name}) than it would be sampled with. If they "
                "are rescaled to zero terminal SNR, set rescale_betas_zero_snr in latentry.json."
            )


def _agree(stored: StoredTensor, levels: npt.NDArray[Any]) -> bool:
    """Whether a tensor has these values in any order, but for its rounding."""
    found = np.sort(stored.read().double().numpy().reshape(-1))
    rounding = _ROUNDING.get((stored.info.end - stored.info.begin) // max(found.size, 1), _EXACT)
    if found.shape != levels.shape:
        return False
    return bool(np.allclose(found, np.sort(levels), rtol=rounding, atol=rounding / 10))
