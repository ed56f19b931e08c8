"""What an adapter's file says of itself; its tensors decide, metadata only inform."""

import json
import re
from collections import Counter
from typing import Final

from latentry.contracts import Adapter, AdapterKind
from worker.engine.adapters.file import AdapterFile

_MAX_WORDS: Final = 16
_MAX_CHARS: Final = 200
_MAX_REASON: Final = 1000
_RANKS: Final = re.compile(r"\.(lora_down|lora_A|lora\.down|hada_w1_b|lora_linear_layer\.down)")
_CROSS: Final = re.compile(r"attn2[._](?:processor\.)?to_[kv]\b.*(?:down|lora_A|hada_w1_b)")
# The width of the prompts that a model's cross attention reads.
_FAMILIES: Final = {768: "SD 1.x", 1024: "SD 2.x", 2048: "SDXL"}
# Names of networks that are no UNet of Stable Diffusion.
_OTHERS: Final = ("transformer.", "lora_transformer_", "diffusion_model.", "double_blocks")


def described(
    file: AdapterFile,
    kind: AdapterKind = AdapterKind.LORA,
    *,
    family: str,
    models: tuple[str, ...] = (),
    rank: int | None = None,
    networks: tuple[str, ...] = (),
    reason: str | None = None,
) -> Adapter:
    """Its entry in the catalogue, without an id. `rank`: None to take it from the names."""
    shapes = (t.shape for name, t in file.header.tensors.items() if _RANKS.search(name))
    return Adapter(
        id="",
        kind=kind,
        family=family,
        models=models,
        sha256=file.sha256,
        autov3=file.autov3,
        size_bytes=len(file.data),
        rank=max((s[0] for s in shapes if s), default=0) if rank is None else rank,
        networks=networks,
        # It names tensors of the file, which may be called anything.
        reason=reason and _plain(reason, _MAX_REASON),
        title=_title(file),
        trigger_words=trigger_words(file),
    )


def family_of_file(file: AdapterFile) -> str:
    """The family whose cross attention its layers have, or a guess by their names; or nothing."""
    for name, tensor in file.header.tensors.items():
        if _CROSS.search(name) and len(tensor.shape) > 1 and tensor.shape[1] in _FAMILIES:
            return _FAMILIES[tensor.shape[1]]
        if any(word in name for word in _OTHERS):
            return "another architecture"
    return ""


def trigger_words(file: AdapterFile) -> tuple[str, ...]:
    """What a prompt should contain: as its makers say, or else the commonest tags of training."""
    written = file.metadata.get("modelspec.trigger_phrase") or file.metadata.get("ss_trigger_words")
    words = re.split(r"[,\n]", written) if written else _commonest(file)
    found = dict.fromkeys(word for word in (_plain(word) for word in words) if word)
    return tuple(found)[:_MAX_WORDS]


def _commonest(file: AdapterFile) -> list[str]:
    """kohya-ss counts the tags of each folder of pictures; the one that all pictures have."""
    try:
        folders = json.loads(file.metadata.get("ss_tag_frequency", "{}"))
        counts = Counter[str]()
        for tags in folders.values():
            counts.update({str(tag): int(count) for tag, count in tags.items()})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return []
    most = max(counts.values(), default=0)
    return [tag for tag, count in counts.items() if count == most] if most else []


def _title(file: AdapterFile) -> str | None:
    for name in ("modelspec.title", "ss_output_name"):
        if title := _plain(file.metadata.get(name, "")):
            return title
    return None


def _plain(text: str, most: int = _MAX_CHARS) -> str:
    """One line of printable text, which surrogates, that no JSON can carry, are not."""
    return "".join(letter for letter in text.strip()[:most] if letter.isprintable())
