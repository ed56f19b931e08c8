"""Embeddings as they were shared before safetensors: never read, but listed with what to do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from latentry.contracts import Adapter, AdapterKind

_PATTERNS: Final = ("*.pt", "learned_embeds*.bin")  # AUTOMATIC1111's, and diffusers'
WHY: Final = (
    "It is a pickle, which can run code when it is read, so it is never read. Convert it:"
    " data = torch.load(FILE, weights_only=True);"
    ' [vectors] = data.get("string_to_param", data).values();'
    ' safetensors.torch.save_file({"emb_params": vectors}, "NAME.safetensors").'
)


def is_pickle(path: Path) -> bool:
    """Whether its name is that of such a file."""
    return any(path.match(pattern) for pattern in _PATTERNS)


def pickles(folder: Path) -> Iterator[Path]:
    """Those in a folder, at whatever depth, by name."""
    yield from sorted(path for pattern in _PATTERNS for path in folder.rglob(pattern))


def refused(path: Path) -> Adapter:
    """The entry of one, without an id. Raises OSError."""
    return Adapter(
        id="",
        kind=AdapterKind.EMBEDDING,
        family="",
        models=(),
        sha256="",
        autov3="",
        size_bytes=path.stat().st_size,
        networks=(),
        reason=WHY,
    )
