"""What a checkpoint's UNet predicts: what its file, its metadata and its `.yaml` say together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from latentry.errors import ConfigurationError
from worker.engine.models.overrides import Overrides
from worker.engine.models.sources.single_file.configs import Weights, count
from worker.engine.models.sources.single_file.families import Family
from worker.engine.models.sources.single_file.yaml_config import YamlConfig

_EPSILON: Final = "epsilon"
_V: Final = "v_prediction"
# An empty tensor by which trainers mark v-prediction.
V_MARK: Final = "v_pred"
# Stability AI's ModelSpec: modelspec.prediction_type and modelspec.architecture.
_SPEC: Final = {"epsilon": _EPSILON, "eps": _EPSILON, "v": _V, "v_prediction": _V}
_ARCHITECTURES: Final = {"stable-diffusion-v2-512": _EPSILON, "stable-diffusion-v2-768-v": _V}
# ComfyUI's measure (SD20.model_type): this bias of SD 2.x's 768-v models spreads wider than so.
_V_SPREAD: Final = 0.09


@dataclass(frozen=True, slots=True)
class Predicted:
    """A scheduler's `prediction_type`, and what to warn of if it was not said but guessed."""

    type: str
    warnings: tuple[str, ...] = ()


def predicted(
    where: str,
    family: Family,
    weights: Weights,
    unet: Weights,
    metadata: Mapping[str, str],
    config: YamlConfig,
    overrides: Overrides,
) -> Predicted:
    """What the UNet predicts. `where` names the file, `unet` has diffusers' names.

    The overrides decide; without them all that say so must agree. Raises ConfigurationError.
    """
    if overrides.prediction_type is not None:
        return Predicted(overrides.prediction_type)
    told = dict(_sayings(where, weights, metadata, config))
    if len(set(told.values())) > 1:
        both = ", ".join(f"{source}: {said}" for source, said in told.items())
        raise ConfigurationError(
            f"What {where} says of what its UNet predicts contradicts itself ({both}); set "
            "prediction_type in its latentry.json."
        )
    if told:
        return Predicted(next(iter(told.values())))
    if config.default_prediction is not None:
        return Predicted(config.default_prediction)
    return _guessed(unet) if family.has_two_predictions else Predicted(_EPSILON)


def _sayings(
    where: str, weights: Weights, metadata: Mapping[str, str], config: YamlConfig
) -> Iterator[tuple[str, str]]:
    """Where something says what the UNet predicts, and what."""
    if V_MARK in weights:
        yield V_MARK, _V
    if said := metadata.get("modelspec.prediction_type"):
        if said not in _SPEC:
            raise ConfigurationError(
                f"{where} has modelspec.prediction_type {said!r}; supported are "
                f"{', '.join(_SPEC)}. A prediction_type in its latentry.json wins."
            )
        yield "modelspec.prediction_type", _SPEC[said]
    architecture = metadata.get("modelspec.architecture", "")
    if architecture in _ARCHITECTURES:
        yield "modelspec.architecture", _ARCHITECTURES[architecture]
    if config.prediction is not None:
        yield config.name, config.prediction


def _guessed(unet: Weights) -> Predicted:
    """By how the weights of an SD 2.x spread: those that predict v and ε have the same shapes."""
    block = count(unet, "up_blocks.{}.resnets.0.conv1.weight") - 1
    layer = count(unet, f"up_blocks.{block}.attentions.{{}}.norm.weight") - 1
    bias = unet[f"up_blocks.{block}.attentions.{layer}.transformer_blocks.0.norm1.bias"]
    is_v = float(bias.read().double().numpy().std()) > _V_SPREAD
    letter, side, other = ("v", 768, _EPSILON) if is_v else ("ε", 512, _V)
    return Predicted(
        _V if is_v else _EPSILON,
        (
            "The file does not say what its UNet predicts. Judged by its weights it predicts "
            f"{letter}, for {side} pixels; if its pictures are noise, set prediction_type to "
            f"{other} in its latentry.json.",
        ),
    )
