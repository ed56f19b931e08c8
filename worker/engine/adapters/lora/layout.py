"""Which tensors of a file make the term of which layer; every tensor is accounted for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from latentry.errors import AdapterUnusable
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.lora.architecture import Architecture
from worker.engine.adapters.lora.scales import Scales
from worker.engine.models.safetensors_header import TensorInfo

# What each tensor of a layer is, by the end of its name: kohya-ss's and LyCORIS' names, peft's, and
# those that diffusers has had. Longer ends come first.
_ENDS: Final = {
    ".lora_linear_layer.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    ".lora_A.default.weight": "down",
    ".lora_B.default.weight": "up",
    ".lora_down.weight": "down",
    ".lora_mid.weight": "mid",
    ".lora_up.weight": "up",
    ".lora.down.weight": "down",
    ".lora.up.weight": "up",
    "_lora.down.weight": "down",
    "_lora.up.weight": "up",
    ".lora_A.weight": "down",
    ".lora_B.weight": "up",
    ".hada_w1_a": "w1_a",
    ".hada_w1_b": "w1_b",
    ".hada_w2_a": "w2_a",
    ".hada_w2_b": "w2_b",
    ".alpha": "alpha",
}
_KEPT: Final = "_lora"  # part of the module's name in diffusers' oldest files
# Other methods, by a word of their tensors' names.
_OTHERS: Final = {
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
    "lokr_": "LoKr",
    "hada_t1": "LoHa in Tucker form",
    "hada_t2": "LoHa in Tucker form",
    "oft_": "OFT",
    "on_input": "(IA)³",
    "glora": "GLoRA",
    "a1.weight": "GLoRA",
    "w_norm": "trained norms",
    "lora_B.bias": "a LoRA with biases",
    "lora_up.bias": "a LoRA with biases",
}
_SHOWN: Final = 3
_LORA: Final = frozenset({"down", "up"})
_LOHA: Final = frozenset({"w1_a", "w1_b", "w2_a", "w2_b"})


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer's tensors by what they are, with its scale, alpha / rank.

    shape: of the layer's own weight. rank: of the term as it is computed.
    """

    network: str
    path: str
    shape: tuple[int, ...]
    tensors: Mapping[str, TensorInfo]
    rank: int
    scale: float

    @property
    def size(self) -> int:
        """How many numbers its term has in memory."""
        into = self.shape[1]
        kernel = 1
        for side in self.shape[2:]:
            kernel *= side
        if "mid" in self.tensors:
            return self.rank * (into + self.shape[0] + self.rank * kernel)
        return self.rank * (into * kernel + self.shape[0])


def planned(file: AdapterFile, model: Architecture) -> tuple[LayerPlan, ...]:
    """The layers of a file in a model that it fits. Raises AdapterUnusable with the first names."""
    refuse_other_methods(file)
    groups, unknown = _grouped(file, model)
    if unknown:
        names = ", ".join(sorted(unknown)[:_SHOWN])
        raise AdapterUnusable(f"{len(unknown)} of its tensors find no layer, for example {names}.")
    if not groups:
        raise AdapterUnusable("It has no layers.")
    scales = Scales.of(file)
    return tuple(
        _layer(file, network, path, model.shapes[network][path], names, scales)
        for (network, path), names in groups.items()
    )


def refuse_other_methods(file: AdapterFile) -> None:
    """Raises AdapterUnusable for a file that is not, or not only, LoRA or LoHa."""
    for name in file.header.tensors:
        for word, method in _OTHERS.items():
            if word in name:
                raise AdapterUnusable(f"It is {method} ({name}), which is not supported.")


def split(name: str) -> tuple[str, str] | None:
    """A tensor's name as the layer's in the file and what it is there; None if it is neither."""
    for end, part in _ENDS.items():
        if name.endswith(end):
            module = name.removesuffix(end)
            return (module + _KEPT if end.startswith(_KEPT) else module), part
    return None


def _grouped(
    file: AdapterFile, model: Architecture
) -> tuple[dict[tuple[str, str], dict[str, str]], Sequence[str]]:
    """The names of each layer's tensors by what they are; and those that find no place."""
    groups: dict[tuple[str, str], dict[str, str]] = {}
    unknown = []
    for name in file.header.tensors:
        found = split(name)
        place = model.place(found[0]) if found else None
        if found is None or place is None:
            unknown.append(name)
            continue
        group = groups.setdefault(place, {})
        if found[1] in group:
            raise AdapterUnusable(f"Its {name} and {group[found[1]]} are of the same layer.")
        group[found[1]] = name
    return groups, unknown


def _layer(
    file: AdapterFile,
    network: str,
    path: str,
    shape: tuple[int, ...],
    names: Mapping[str, str],
    scales: Scales,
) -> LayerPlan:
    tensors = {part: file.header.tensors[name] for part, name in names.items() if part != "alpha"}
    rank = _rank(path, names, tensors)
    is_loha = tensors.keys() == _LOHA
    wanted = _loha_shapes(shape, tensors, rank) if is_loha else _shapes(shape, tensors, rank)
    for part, tensor in tensors.items():
        if _squeezed(tensor.shape) != _squeezed(wanted[part]):
            raise AdapterUnusable(
                f"Its {names[part]} has the shape {list(tensor.shape)}; {path} of this model takes"
                f" {list(wanted[part])}."
            )
    alpha = file.number(names["alpha"]) if "alpha" in names else None
    scale = scales.scale(names, network, path, rank, alpha)
    whole = rank * wanted["w2_b"][0] if is_loha else rank
    return LayerPlan(network, path, shape, tensors, whole, scale)


def _rank(path: str, names: Mapping[str, str], tensors: Mapping[str, TensorInfo]) -> int:
    """Of a layer that has all of its tensors: rows of the one that takes the layer's input."""
    if tensors.keys() not in (_LORA, _LORA | {"mid"}, _LOHA):
        have = ", ".join(sorted(names.values()))
        raise AdapterUnusable(f"A layer of it is not whole: of {path} it has {have}.")
    downs = [tensors[part].shape[:1] for part in ("down", "w1_b", "w2_b") if part in tensors]
    if (0,) in downs or () in downs:
        raise AdapterUnusable(f"Its layer {path} has no rank.")
    return downs[0][0]


def _shapes(
    shape: tuple[int, ...], tensors: Mapping[str, TensorInfo], rank: int
) -> dict[str, tuple[int, ...]]:
    out, into, *kernel = shape
    if "mid" not in tensors:
        return {"down": (rank, into, *kernel), "up": (out, rank, *[1] * len(kernel))}
    if not kernel:
        raise AdapterUnusable("It has a Tucker decomposition of a layer that is no convolution.")
    return {"down": (rank, into, 1, 1), "mid": (rank, rank, *kernel), "up": (out, rank, 1, 1)}


def _loha_shapes(
    shape: tuple[int, ...], tensors: Mapping[str, TensorInfo], rank: int
) -> dict[str, tuple[int, ...]]:
    out, into, *kernel = shape
    for side in kernel:
        into *= side
    second = tensors["w2_b"].shape[0]
    return {
        "w1_a": (out, rank),
        "w1_b": (rank, into),
        "w2_a": (out, second),
        "w2_b": (second, into),
    }


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without the sides of a 1 × 1 kernel, which some files have and others leave out."""
    return shape[:2] if shape[2:] == (1, 1) else shape
