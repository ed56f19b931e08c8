"""What the tensors of an IP-Adapter's file are; every tensor is accounted for.

The names are those of the repository h94/IP-Adapter: `image_proj.…` makes tokens of what an image
encoder says of a picture, `ip_adapter.N.to_k_ip.weight` and `to_v_ip` make keys and values of
tokens for the N-th attention of a UNet, in the order of diffusers' `attn_processors`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from latentry.errors import AdapterUnusable
from worker.engine.adapters.file import AdapterFile
from worker.engine.models.safetensors_header import TensorInfo

Shape = tuple[int, ...]
HEAD: Final = 64  # width of a resampler's heads: no file says it
_PREFIX: Final = "image_proj."
_LAYER: Final = re.compile(r"ip_adapter\.(\d{1,4})\.to_([kv])_ip\.weight")
_FACE_ID: Final = ("perceiver_resampler.", "_lora.")
_SHOWN: Final = 3


class Layout(StrEnum):
    """How tokens are made, as the file names tell it."""

    PLAIN = "plain"  # of the picture's embedding
    PLUS = "plus"  # of the encoder's last hidden states but one, by a resampler
    FULL = "full"  # of the same, one token each

    @property
    def takes_hidden_states(self) -> bool:
        """Whether it looks at the encoder's hidden states, not at its embedding."""
        return self is not Layout.PLAIN


@dataclass(frozen=True, slots=True)
class KeyValue:
    """The tensors that make keys and values [out, width] of tokens for one attention."""

    key: TensorInfo
    value: TensorInfo


@dataclass(frozen=True, slots=True)
class IPAdapterFile:
    """A file's tensors by what they are.

    takes: the width of what the image encoder has to give. width: of a token, which the cross
    attention of a UNet reads. layers: by their number.
    """

    layout: Layout
    takes: int
    width: int
    projection: Mapping[str, TensorInfo]
    layers: Mapping[int, KeyValue]

    def size_bytes(self, itemsize: int) -> int:
        """What its tensors take in memory, with so many bytes a number."""
        layers = (one for layer in self.layers.values() for one in (layer.key, layer.value))
        return itemsize * sum(one.count for one in (*self.projection.values(), *layers))

    @classmethod
    def of(cls, file: AdapterFile) -> "IPAdapterFile":
        """Raises AdapterUnusable."""
        projection, layers, unknown = _sorted(file)
        if unknown:
            names = ", ".join(sorted(unknown)[:_SHOWN])
            raise AdapterUnusable(f"{len(unknown)} of its tensors find no place, such as {names}.")
        layout, takes, width = _read(projection)
        halves = {number: one for number, one in layers.items() if len(one) < 2}
        if halves or not layers:
            raise AdapterUnusable("It has not both keys and values of all its layers.")
        whole = {number: KeyValue(one["k"], one["v"]) for number, one in layers.items()}
        return cls(layout, takes, width, projection, whole)


def is_ip_adapter(file: AdapterFile) -> bool:
    """Whether its tensors have such names."""
    return any(name.startswith((_PREFIX, "ip_adapter.")) for name in file.header.tensors)


def _sorted(
    file: AdapterFile,
) -> tuple[dict[str, TensorInfo], dict[int, dict[str, TensorInfo]], list[str]]:
    """The projection's tensors, those of each layer, and the names of all others."""
    projection: dict[str, TensorInfo] = {}
    layers: dict[int, dict[str, TensorInfo]] = {}
    unknown = []
    for name, tensor in file.header.tensors.items():
        if any(word in name for word in _FACE_ID):
            raise AdapterUnusable("It is an IP-Adapter FaceID, which is not supported.")
        if name.startswith(_PREFIX):
            projection[name.removeprefix(_PREFIX)] = tensor
        elif match := _LAYER.fullmatch(name):
            layers.setdefault(int(match[1]), {})[match[2]] = tensor
        else:
            unknown.append(name)
    return projection, layers, unknown


def _read(tensors: Mapping[str, TensorInfo]) -> tuple[Layout, int, int]:
    """The projection's layout, with the widths of what it takes and of its tokens."""
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if "norm.weight" in shapes and "proj.0.weight" in shapes:
        raise AdapterUnusable("It is an IP-Adapter FaceID, which is not supported.")
    if "latents" in shapes:
        layout, wanted = Layout.PLUS, _plus(shapes)
    elif "proj.3.weight" in shapes:
        layout, wanted = Layout.FULL, _full(shapes)
    else:
        layout, wanted = Layout.PLAIN, _plain(shapes)
    if unknown := sorted(shapes.keys() - wanted.keys()):
        names = ", ".join(_PREFIX + name for name in unknown[:_SHOWN])
        raise AdapterUnusable(f"{len(unknown)} of its tensors find no place, such as {names}.")
    for name, shape in wanted.items():
        if shapes.get(name) != shape:
            has = list(shapes[name]) if name in shapes else "nothing"
            raise AdapterUnusable(f"Its {_PREFIX}{name} is {has}; it takes {list(shape)}.")
    first = {Layout.PLAIN: "proj", Layout.FULL: "proj.0", Layout.PLUS: "proj_in"}[layout]
    last = {Layout.PLAIN: "norm", Layout.FULL: "proj.3", Layout.PLUS: "norm_out"}[layout]
    return layout, shapes[f"{first}.weight"][1], shapes[f"{last}.weight"][0]


def _plain(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    rows, takes = _two(shapes, "proj.weight")
    (width,) = _some(shapes, "norm.weight", 1)
    if rows % width:
        raise AdapterUnusable(f"Its image_proj makes {rows} numbers, and tokens have {width}.")
    return _linear("proj", rows, takes) | _norm("norm", width)


def _full(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    _, takes = _two(shapes, "proj.0.weight")
    (width,) = _some(shapes, "proj.3.weight", 1)
    inner = _linear("proj.0", takes, takes) | _linear("proj.2", width, takes)
    return inner | _norm("proj.3", width)


def _plus(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The resampler of IP-Adapter's resampler.py."""
    _, tokens, own = _some(shapes, "latents", 3)
    width, _ = _two(shapes, "proj_out.weight")
    _, takes = _two(shapes, "proj_in.weight")
    found = {"latents": (1, tokens, own)} | _linear("proj_in", own, takes)
    found |= _linear("proj_out", width, own) | _norm("norm_out", width)
    for number in range(depth(shapes)):
        at, feed = f"layers.{number}.0", f"layers.{number}.1"
        inner, _ = _two(shapes, f"{at}.to_q.weight")
        wider, _ = _two(shapes, f"{feed}.1.weight")
        if inner % HEAD:
            raise AdapterUnusable(f"Its {_PREFIX}{at} has no whole number of heads.")
        found |= _norm(f"{at}.norm1", own) | _norm(f"{at}.norm2", own) | _norm(f"{feed}.0", own)
        found |= {
            f"{at}.to_q.weight": (inner, own),
            f"{at}.to_kv.weight": (2 * inner, own),
            f"{at}.to_out.weight": (own, inner),
            f"{feed}.1.weight": (wider, own),
            f"{feed}.3.weight": (own, wider),
        }
    return found


def depth(names: Mapping[str, object]) -> int:
    """How many layers a resampler has."""
    numbers = {name.split(".")[1] for name in names if name.startswith("layers.")}
    return len(numbers)


def _linear(name: str, out: int, into: int) -> dict[str, Shape]:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _two(shapes: Mapping[str, Shape], name: str) -> tuple[int, int]:
    rows, columns = _some(shapes, name, 2)
    return rows, columns


def _some(shapes: Mapping[str, Shape], name: str, axes: int) -> Shape:
    """A shape of so many axes, none of which is 0."""
    shape = shapes.get(name, ())
    if len(shape) != axes or 0 in shape:
        has = list(shape) if name in shapes else "nothing"
        raise AdapterUnusable(f"Its {_PREFIX}{name} is {has}: no IP-Adapter's.")
    return shape
