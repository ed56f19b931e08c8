"""Which files of a folder hold the weights of one part, and what they hold."""

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final

from latentry.errors import ConfigurationError
from worker.engine.models.sources.json_file import read_json
from worker.engine.models.sources.scales import with_scales
from worker.engine.models.weights import StoredTensor, stored_in

# The precisions that file names tell, the one that keeps most of a weight first.
_PRECISIONS: Final = ("fp32", "fp16", "bf16")
_VARIANT: Final = rf"\.({'|'.join(_PRECISIONS)})"
_SHARD: Final = r"-\d+-of-(\d+)"

# What CLIP is published with and no picture depends on; the projection is SDXL's second encoder's.
_UNUSED: Final = r"(.*\.)?(position_ids|logit_scale|attn_mask)|(vision_model|visual_projection)\..*"
_PROJECTION: Final = r"(text_model\.)?text_projection(\.weight)?"


def is_unused(part: str, name: str) -> bool:
    """Whether no picture depends on a weight of this name in this part of a model."""
    if not part.startswith("text_encoder"):
        return False
    unused = _UNUSED if part == "text_encoder_2" else f"{_UNUSED}|{_PROJECTION}"
    return re.fullmatch(unused, name) is not None


def weights_in(folder: Path, stem: str, *, prefer_fp16: bool) -> dict[str, StoredTensor]:
    """The weights of one part of a model, by name. Raises ConfigurationError.

    `stem` and `prefer_fp16` as in `choose_files`.
    """
    names = choose_files([path.name for path in folder.glob("*")], stem, prefer_fp16=prefer_fp16)
    if not names:
        raise ConfigurationError(_missing(folder, stem))
    found: dict[str, StoredTensor] = {}
    for name in _of_one_set(folder, names):
        weights = stored_in(folder / name)[0]
        if twice := sorted(weights.keys() & found.keys()):
            raise ConfigurationError(f"{folder} holds {twice[0]} in two of its shards.")
        found |= weights
    # With scales before what is unused is dropped: it may have some.
    scaled = with_scales(str(folder), found)
    return {name: stored for name, stored in scaled.items() if not is_unused(folder.name, name)}


def choose_files(names: Iterable[str], stem: str, *, prefer_fp16: bool) -> list[str]:
    """Which of a folder's files to load: those of one precision, whole or in shards.

    They are one file, `stem.safetensors`, or shards (`-00001-of-00002`), and often there is a
    second set in half precision (`.fp16`, `.bf16`). `.fp16` is taken if `prefer_fp16`, else the one
    without a word, else the most precise one. Of shards there may be several sets: `weights_in`
    asks their index.
    """
    pattern = rf"{re.escape(stem)}(?:{_VARIANT})?({_SHARD})?(?:{_VARIANT})?\.(?i:safetensors)"
    found = [match for name in sorted(names) if (match := re.fullmatch(pattern, name))]
    by_precision: dict[str, list[re.Match[str]]] = {}
    for match in found:
        by_precision.setdefault(match[1] or match[4] or "", []).append(match)
    order = (*(["fp16"] if prefer_fp16 else []), "", *_PRECISIONS)
    wanted = next((by_precision[one] for one in order if one in by_precision), [])
    unsharded = [match for match in wanted if not match[2]]
    return [match.string for match in unsharded or wanted]


def _of_one_set(folder: Path, names: list[str]) -> list[str]:
    """Those of these files that are one set of weights: what the shards' index names."""
    if not _shards(names[0]):
        return names[:1]
    indexes = sorted(folder.glob("*.index*.json"))
    for index in indexes:
        named = sorted(set(_weight_map(index).values()))
        if set(named) & set(names):
            if missing := sorted(set(named) - set(names)):
                raise ConfigurationError(f"{folder} has no {missing[0]}, which {index.name} names.")
            return named
    sets = {count: list(group) for count, group in groupby(sorted(names, key=_shards), _shards)}
    whole = [group for count, group in sets.items() if len(group) == count]
    if len(whole) > 1:
        raise ConfigurationError(
            f"{folder} has {len(whole)} sets of shards and no index; keep those of one."
        )
    if not whole:
        count, group = next(iter(sets.items()))
        raise ConfigurationError(f"{folder} has {len(group)} of its {count} shards.")
    return whole[0]


def _shards(name: str) -> int:
    """How many shards there are in the set of this file; 0 if it is whole."""
    match = re.search(_SHARD, name)
    return int(match[1]) if match else 0


def _weight_map(index: Path) -> Mapping[str, str]:
    found = read_json(index).get("weight_map")
    if not (isinstance(found, dict) and all(isinstance(one, str) for one in found.values())):
        raise ConfigurationError(f"{index} has no weight_map of file names.")
    return found


def _missing(folder: Path, stem: str) -> str:
    """Why a folder without the files that are looked for cannot be loaded."""
    names = sorted(path.name for path in folder.glob("*"))
    if others := [name for name in names if name.lower().endswith(".safetensors")]:
        return (
            f"{folder} has {others[0]}; what is loaded is {stem}.safetensors, whole or in shards, "
            f"or the same with {', '.join(f'.{one}' for one in _PRECISIONS)}."
        )
    if pickles := [name for name in names if name.endswith((".bin", ".ckpt", ".pt"))]:
        return (
            f"{folder} has only {pickles[0]}; pickles are not loaded, because they can run code. "
            "Convert it to safetensors where you trust it."
        )
    return f"{folder} has no .safetensors weights."
