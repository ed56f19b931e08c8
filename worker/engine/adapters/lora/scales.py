"""alpha / rank of each layer: from its own alpha, or by the rules of peft's config."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from latentry.errors import AdapterUnusable
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.lora.architecture import NETWORKS

_METADATA: Final = "lora_adapter_metadata"  # diffusers' LORA_ADAPTER_METADATA_KEY
# Entries of a peft config under which the layers are more, or other, than down and up; and those
# under which training has changed the model's own weights too.
_UNSUPPORTED: Final = (
    *("use_dora", "lora_bias", "fan_in_fan_out", "modules_to_save", "use_qalora"),
    *("alora_invocation_tokens", "target_parameters", "layer_replication", "megatron_config"),
    *(
        "use_bdlora",
        "arrow_config",
        "velora_config",
        "trainable_token_indices",
        "monteclora_config",
    ),
)
_CHANGES_BASE: Final = ("pissa", "olora", "loftq", "corda", "eva", "lora_ga")


@dataclass(frozen=True, slots=True)
class Scales:
    """Peft's rules for each network; none for files that have no config: then no alpha means 1."""

    rules: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, file: AdapterFile) -> "Scales":
        """From a folder's config, or diffusers' metadata. Raises AdapterUnusable."""
        if file.config is not None:
            return cls(dict.fromkeys(NETWORKS, _checked(file.config, has_type=True)))
        written = file.metadata.get(_METADATA)
        if written is None:
            return cls({})
        try:
            flat = json.loads(written)
        except (ValueError, RecursionError):
            flat = None
        if not isinstance(flat, dict):
            raise AdapterUnusable(f"Its metadata {_METADATA} is not a JSON object.")
        rules: dict[str, dict[str, Any]] = {}
        for name, value in flat.items():
            network, _, entry = name.partition(".")
            if network in NETWORKS:
                rules.setdefault(network, {})[entry] = value
        return cls({network: _checked(one, has_type=False) for network, one in rules.items()})

    def scale(
        self, names: Mapping[str, str], network: str, path: str, rank: int, alpha: float | None
    ) -> float:
        """Of one layer, by its own alpha where it has one. Raises AdapterUnusable."""
        divisor = float(rank)
        rules = self.rules.get(network)
        if rules is not None:
            if rules.get("use_rslora"):
                divisor = math.sqrt(rank)
            if alpha is None:
                alpha = _number(rules, path, names)
        scale = 1.0 if alpha is None else alpha / divisor
        if not math.isfinite(scale):
            raise AdapterUnusable(f"The scale of its layer {path} is not finite.")
        return scale


def _number(rules: Mapping[str, Any], path: str, names: Mapping[str, str]) -> float:
    """Peft's alpha of a layer: that of the first pattern that ends its name, or else the common."""
    module = next(iter(names.values())).rsplit(".lora_", 1)[0]
    candidates = {path, f"text_model.{path}", module.removeprefix("base_model.model.")}
    for pattern, alpha in (rules.get("alpha_pattern") or {}).items():
        if any(_ends(pattern, name) for name in candidates):
            return _real(alpha)
    return _real(rules.get("lora_alpha", 8))  # peft's own default


def _ends(pattern: str, name: str) -> bool:
    """As peft's get_pattern_key, but for regular expressions, which a file must not bring."""
    bare = pattern.removeprefix("^").replace("\\.", ".")
    if not re.fullmatch(r"[\w.]+", bare):
        raise AdapterUnusable(f"Its alpha_pattern {pattern!r} is a regular expression.")
    return name == bare or (not pattern.startswith("^") and name.endswith(f".{bare}"))


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise AdapterUnusable("An alpha in its config is not a number.")
    return float(value)


def _checked(rules: Mapping[str, Any], *, has_type: bool) -> Mapping[str, Any]:
    if has_type and rules.get("peft_type") != "LORA":
        raise AdapterUnusable(
            f"Its peft_type is {rules.get('peft_type')!r}; only LORA is supported."
        )
    for name in _UNSUPPORTED:
        if rules.get(name):
            raise AdapterUnusable(f"Its config has {name}, which is not supported.")
    if rules.get("bias", "none") != "none":
        raise AdapterUnusable("Its config trains biases, which is not supported.")
    start = str(rules.get("init_lora_weights", "")).lower()
    if start.startswith(_CHANGES_BASE):
        raise AdapterUnusable(f"Its init_lora_weights is {start}, which changes the model itself.")
    for name in ("alpha_pattern", "rank_pattern"):
        if not isinstance(rules.get(name) or {}, dict):
            raise AdapterUnusable(f"Its config's {name} is not an object.")
    return rules
