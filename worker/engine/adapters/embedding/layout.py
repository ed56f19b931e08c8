"""The vectors of an embedding's file, by the text encoder that they are for. Without torch."""

from collections.abc import Mapping
from typing import Final

from latentry.contracts import Adapter, AdapterKind
from latentry.errors import AdapterUnusable
from worker.engine.adapters.file import AdapterFile
from worker.engine.models.safetensors_header import TensorInfo

# kohya-ss's, ComfyUI's and AUTOMATIC1111's names for SDXL; those of diffusers' older script.
_XL: Final = {"clip_l": "text_encoder", "clip_g": "text_encoder_2"} | {
    "text_encoders_0": "text_encoder",
    "text_encoders_1": "text_encoder_2",
}
_A1111: Final = "emb_params"
# Widths of the encoders of models as they were published.
_FAMILIES: Final = {(768,): "SD 1.x", (1024,): "SD 2.x", (768, 1280): "SDXL", (1280,): "SDXL"}
MAX_VECTORS: Final = 75  # of a chunk, which an embedding is never divided between
Vectors = Mapping[str, TensorInfo]


def is_embedding(file: AdapterFile) -> bool:
    """Whether its tensors are named as those of embeddings are: after SDXL's encoders, or by one
    token, which diffusers writes in angle brackets.
    """
    names = file.header.tensors
    if names.keys() <= _XL.keys() or all(_is_bracketed(name) for name in names):
        return bool(names)
    return len(names) == 1 and not any("." in name for name in names)


def vectors_of(file: AdapterFile) -> Vectors:
    """Tensors [vectors, width], or [width] for a single one, by encoder. Raises AdapterUnusable."""
    tensors = file.header.tensors
    if tensors.keys() <= _XL.keys():
        found = {_XL[name]: one for name, one in tensors.items()}
        if len(found) < len(tensors):
            raise AdapterUnusable("It has vectors for the same text encoder under two names.")
    elif len(tensors) == 1:
        found = dict.fromkeys(("text_encoder",), *tensors.values())
    else:
        raise AdapterUnusable(f"It has {len(tensors)} embeddings; a file must have one.")
    for name, one in tensors.items():
        if len(one.shape) not in (1, 2) or not one.count:
            raise AdapterUnusable(f"Its {name} has shape {list(one.shape)}; it must be vectors.")
    counts = {count(one) for one in found.values()}
    if len(counts) > 1:
        raise AdapterUnusable("It has another number of vectors for each text encoder.")
    if (most := max(counts)) > MAX_VECTORS:
        raise AdapterUnusable(f"It has {most} vectors; {MAX_VECTORS} fit into a chunk of a prompt.")
    file.refuse_non_finite()
    return {name: found[name] for name in sorted(found)}


def count(tensor: TensorInfo) -> int:
    """How many vectors it has."""
    return tensor.shape[0] if len(tensor.shape) == 2 else 1


def widths(vectors: Vectors) -> tuple[int, ...]:
    """Numbers in a vector for each text encoder."""
    return tuple(one.shape[-1] for one in vectors.values())


def family_of_file(vectors: Vectors) -> str:
    """The family whose text encoders are so wide; nothing if there is none."""
    return _FAMILIES.get(widths(vectors), "")


def described(
    file: AdapterFile,
    vectors: Vectors,
    *,
    family: str,
    models: tuple[str, ...] = (),
    reason: str | None = None,
) -> Adapter:
    """Its entry in the catalogue, without an id."""
    return Adapter(
        id="",
        kind=AdapterKind.EMBEDDING,
        family=family,
        models=models,
        sha256=file.sha256,
        autov3=file.autov3,
        size_bytes=len(file.data),
        vectors=count(next(iter(vectors.values()))),
        networks=tuple(vectors),
        reason=reason,
        title=_token(file),
    )


def _token(file: AdapterFile) -> str | None:
    """The word that diffusers knows it by, if it is plain text."""
    [name, *others] = file.header.tensors
    is_named = not others and name not in (_A1111, *_XL)
    return name[:200] if is_named and name.isprintable() else None


def _is_bracketed(name: str) -> bool:
    return name.startswith("<") and name.endswith(">")
