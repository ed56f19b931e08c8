"""fp8 weights that are stored with a scale, and the marks that tell of such weights.

A layer's weight is `weight` times `weight_scale`, in older files `scale_weight`: ComfyUI's
QUANTIZATION.md and `convert_old_quants`. Scales of a layer's input serve products in fp8, which are
not made here.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from latentry.errors import ConfigurationError
from worker.engine.models.weights import StoredTensor

METADATA: Final = "_quantization_metadata"
_SCALES: Final = ("scale_weight", "weight_scale")
_INPUT_SCALES: Final = ("scale_input", "input_scale")
_MARK: Final = "scaled_fp8"
_LAYER_MARK: Final = "comfy_quant"
_FP8: Final = ("F8_E4M3", "F8_E5M2")
# Which fp8 it is shows in the dtype; how exact a product is wanted changes no weight.
_FORMATS: Final = ("float8_e4m3fn", "float8_e5m2")
_ENTRIES: Final = {"format", "full_precision_matrix_mult"}


def with_scales(
    where: str, weights: Mapping[str, StoredTensor], metadata: Mapping[str, str] | None = None
) -> dict[str, StoredTensor]:
    """The weights with the scales that stand beside them, and without scales and marks.

    `where` names their source. Raises ConfigurationError for any other way to quantize.
    """
    for layer, entries in _formats(where, weights, metadata or {}):
        _refuse_other_format(where, layer, entries)
    found = dict(weights)
    for name, stored in weights.items():
        layer, _, kind = name.rpartition(".")
        if kind in (*_INPUT_SCALES, _MARK, _LAYER_MARK):
            del found[name]
        elif kind in _SCALES:
            del found[name]
            weight = f"{layer}.weight"
            found[weight] = replace(
                _fp8(where, weights, weight), scale=_scalar(where, name, stored)
            )
    return found


def _fp8(where: str, weights: Mapping[str, StoredTensor], name: str) -> StoredTensor:
    stored = weights.get(name)
    if stored is None or stored.info.dtype not in _FP8:
        raise ConfigurationError(f"{where} has a scale for {name}, which is not there in fp8.")
    return stored


def _scalar(where: str, name: str, stored: StoredTensor) -> float:
    if stored.info.count != 1:
        raise ConfigurationError(
            f"{where} has a scale {name} of shape {list(stored.shape)}; only one scale for a whole "
            "weight is supported."
        )
    return float(stored.read())


def _formats(
    where: str, weights: Mapping[str, StoredTensor], metadata: Mapping[str, str]
) -> Iterator[tuple[str, Any]]:
    """What the file says of how its layers are quantized."""
    try:
        layers = json.loads(metadata.get(METADATA, "{}")).get("layers", {})
        yield from layers.items()
        for name, stored in weights.items():
            if name.endswith(f".{_LAYER_MARK}"):
                yield name, json.loads(stored.bytes())
    except (AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"{where} has weights that are quantized in a way that cannot be read: {error}."
        ) from error


def _refuse_other_format(where: str, layer: str, entries: Any) -> None:
    """Raise ConfigurationError unless a layer is quantized to fp8 and no more."""
    told = {"format": entries} if isinstance(entries, str) else entries
    is_known = isinstance(told, dict) and told.get("format") in _FORMATS
    if not is_known or any(told[one] for one in told.keys() - _ENTRIES):
        raise ConfigurationError(
            f"{where} has {layer} quantized as {entries}; only {' and '.join(_FORMATS)} with one "
            "scale for a weight is supported."
        )
