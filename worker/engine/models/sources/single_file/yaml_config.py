"""The `.yaml` beside a checkpoint: the config that CompVis's and Stability AI's code would read.

Of all that such a file can say, this is read: what the UNet predicts, its noise schedule, the VAE's
scaling factor. Sizes of networks follow from the weights. What it says otherwise and cannot be
obeyed refuses the model. `image_size` is not read: the configs of SD 2.x were published with 64 for
pictures of 512 and of 768 pixels alike, and no code makes a picture of that size.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from latentry.errors import ConfigurationError
from worker.engine.models.sources.single_file.configs import HEAD_CHANNELS, SD1_HEADS
from worker.engine.models.sources.single_file.families import SD1, Family

MAX_BYTES: Final = 1024**2
_PREDICTIONS: Final = {
    "eps": "epsilon", "v": "v_prediction", "x0": "sample",
    "EpsScaling": "epsilon", "VScaling": "v_prediction",
}  # fmt: skip
_SCHEDULE: Final = {
    "linear_start": "beta_start",
    "linear_end": "beta_end",
    "timesteps": "num_train_timesteps",
    "num_timesteps": "num_train_timesteps",
}
_DISCRETE: Final = "LegacyDDPMDiscretization"


@dataclass(frozen=True, slots=True)
class YamlConfig:
    """What a `.yaml` says; None or empty where it says nothing.

    `default_prediction`: what ldm's code takes where nothing says otherwise. `scheduler`: entries
    of a scheduler's config in diffusers' terms, without the prediction.
    """

    name: str = ""
    prediction: str | None = None
    default_prediction: str | None = None
    scheduler: Mapping[str, Any] = field(default_factory=dict)
    vae_scaling: float | None = None
    warnings: tuple[str, ...] = ()


def read_yaml_beside(file: Path, family: Family) -> YamlConfig:
    """The config beside a checkpoint, if there is one. Raises ConfigurationError."""
    both = (file.with_suffix(end) for end in (".yaml", ".yml"))
    beside = next((one for one in both if one.exists()), None)
    if beside is None:
        return YamlConfig()
    params = _at(_parsed(beside), "model.params")
    if not params:
        warning = f"{beside.name} has no model.params; nothing of it is used."
        return YamlConfig(warnings=(warning,))
    _refuse_other_networks(beside, params, family)
    try:
        return YamlConfig(
            name=beside.name,
            prediction=_prediction(beside, params),
            default_prediction=None if "denoiser_config" in params else "epsilon",
            scheduler=_schedule(beside, params),
            vae_scaling=float(params["scale_factor"]) if "scale_factor" in params else None,
            warnings=tuple(_warnings(beside, params, family)),
        )
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{beside} has an entry that is no number: {error}.") from error


def _parsed(file: Path) -> Any:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ConfigurationError(f"{file} has more than {MAX_BYTES} bytes.")
        return yaml.safe_load(file.read_bytes())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"{file} cannot be read ({type(error).__name__}); correct it, or move it away."
        ) from error


def _prediction(file: Path, params: Mapping[str, Any]) -> str | None:
    """`parameterization` in ldm; in sgm the class by which the UNet's output is scaled."""
    scaling = _class(params, "denoiser_config.params.scaling_config")
    said = params.get("parameterization") or scaling
    if said is None:
        return None
    if "EDM" in str(said):
        raise ConfigurationError(f"{file} says {said}: EDM models are not supported.")
    if said not in _PREDICTIONS:
        raise ConfigurationError(
            f"{file} says that the UNet predicts {said!r}; supported are {', '.join(_PREDICTIONS)}."
        )
    return _PREDICTIONS[said]


def _schedule(file: Path, params: Mapping[str, Any]) -> dict[str, Any]:
    levels = _class(params, "denoiser_config.params.discretization_config") or _DISCRETE
    shape = params.get("beta_schedule", "linear")
    if levels != _DISCRETE or shape != "linear":
        other = shape if levels == _DISCRETE else levels
        raise ConfigurationError(
            f"{file} has the noise schedule {other!r}, which is not supported."
        )
    inner = _at(params, "denoiser_config.params.discretization_config.params")
    told = {**params, **inner}
    # What ldm calls linear is linear in √β, which diffusers calls scaled_linear.
    return {
        ours: (int if ours.startswith("num") else float)(told[theirs])
        for theirs, ours in _SCHEDULE.items()
        if theirs in told
    }


def _refuse_other_networks(file: Path, params: Mapping[str, Any], family: Family) -> None:
    """Heads and used layers do not show in weights: refuse others than the family's."""
    unet = _at(params, "unet_config.params") or _at(params, "network_config.params")
    told = {"num_heads": SD1_HEADS} if family is SD1 else {"num_head_channels": HEAD_CHANNELS}
    for entry, expected in told.items():
        if unet.get(entry, expected) not in (expected, -1):
            raise ConfigurationError(
                f"{file} has {entry}: {unet[entry]}; in {family.name} it is {expected}."
            )
    text = _at(params, "cond_stage_config.params")
    if "OpenCLIP" in str(_class(params, "cond_stage_config")):
        layer = text.get("layer", "last")
        if layer != "penultimate":
            raise ConfigurationError(
                f"{file} takes the text encoder's layer {layer!r}; in SD 2.x it is 'penultimate'."
            )


def _warnings(file: Path, params: Mapping[str, Any], family: Family) -> Iterator[str]:
    text = _at(params, "cond_stage_config.params")
    if family is SD1 and text.get("layer", "last") != "last":
        yield (
            f"{file.name} takes an earlier layer of the text encoder (layer_idx: "
            f"{text.get('layer_idx')}), so set clip_skip in requests."
        )


def _class(params: Any, path: str) -> str | None:
    """The class that an entry names as its `target`, without its module."""
    target = _at(params, path).get("target")
    return target.rpartition(".")[2] if isinstance(target, str) else None


def _at(config: Any, path: str) -> Mapping[str, Any]:
    """The mapping at a path of keys; an empty one if there is none."""
    for key in path.split("."):
        config = config.get(key) if isinstance(config, dict) else None
    return config if isinstance(config, dict) else {}
