"""An IP-Adapter in memory, and what pictures mean to the attentions of its model."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

import torch
from torch.nn.functional import linear

from latentry.errors import NonFiniteOutput
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.ip_adapter.attentions import CrossAttention
from worker.engine.adapters.ip_adapter.encoder import ImageEncoder
from worker.engine.adapters.ip_adapter.layout import IPAdapterFile, Layout
from worker.engine.adapters.ip_adapter.projection import Weights, tokens_of
from worker.engine.adapters.tensors import moved
from worker.engine.adapters.tensors import read as tensor_of
from worker.engine.device import Device
from worker.engine.image_attention import Context, KeysValues
from worker.engine.inputs.canvas import Pixels
from worker.engine.models.safetensors_header import TensorInfo

# Pictures whose tokens are remembered: at most 64 KB each.
_REMEMBERED: Final = 64
_NOTHING: Final = ""


@dataclass(frozen=True, slots=True)
class Projections:
    """Of tokens to keys and values [heads · d, width] of one cross attention."""

    key: torch.Tensor
    value: torch.Tensor
    heads: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture [SIDE, SIDE, 3], known by the hash of the one that it was made of, and a weight."""

    pixel_sha256: str
    picture: Pixels
    weight: float


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LoadedIPAdapter:
    """Its layers by the paths of their attentions. What is asked, the thread of the steps asks.

    size_bytes: without its encoder, which others may have too.
    """

    sha256: str
    layout: Layout
    encoder: ImageEncoder
    projection: Weights
    layers: Mapping[str, Projections]
    size_bytes: int
    _tokens: OrderedDict[str, torch.Tensor] = field(default_factory=OrderedDict)
    _contexts: WeakValueDictionary[tuple[tuple[str, float], ...], Context] = field(
        default_factory=WeakValueDictionary
    )

    @classmethod
    def of(
        cls,
        file: AdapterFile,
        parsed: IPAdapterFile,
        layers: Sequence[CrossAttention],
        sha256: str,
        at: Device,
        encoder: ImageEncoder,
    ) -> "LoadedIPAdapter":
        """Converted by the calling thread alone. Raises AdapterUnusable."""

        def read(tensor: TensorInfo, name: str) -> torch.Tensor:
            return moved(tensor_of(file, tensor), tensor.shape, name, at)

        def projections(one: CrossAttention) -> Projections:
            tensors, name = parsed.layers[one.number], f"ip_adapter.{one.number}"
            key = read(tensors.key, f"{name}.to_k_ip.weight")
            return Projections(key, read(tensors.value, f"{name}.to_v_ip.weight"), one.heads)

        projection = {n: read(one, f"image_proj.{n}") for n, one in parsed.projection.items()}
        by_path = {one.path: projections(one) for one in layers}
        size_bytes = parsed.size_bytes(at.dtype.itemsize)
        return cls(sha256, parsed.layout, encoder, projection, by_path, size_bytes)

    @torch.inference_mode()
    def context(self, pictures: Sequence[Seen]) -> Context:
        """What rows attend to that have these pictures as their prompt. Raises NonFiniteOutput.

        The images of a job share it. Each row attends to the tokens of all pictures at once, as
        diffusers' pipelines have it; the weight of each is of its values.
        """
        key = tuple((one.pixel_sha256, one.weight) for one in pictures)
        found = self._contexts.get(key)
        if found is None:
            found = self._contexts[key] = self._context(pictures)
        return found

    def _context(self, pictures: Sequence[Seen]) -> Context:
        nothing = self._told(_NOTHING, None)
        shown = [self._told(one.pixel_sha256, one.picture) for one in pictures]
        of_sides = ([nothing] * len(pictures), shown)
        weights = [one.weight for one in pictures]
        layers = {
            path: _joined([_keys_values(layer, side, weights) for side in of_sides])
            for path, layer in self.layers.items()
        }
        return Context(sum(map(len, shown)), layers)

    def _told(self, key: str, picture: Pixels | None) -> torch.Tensor:
        """The tokens [tokens, width] of a picture, or of none."""
        known = self._tokens
        if key not in known:
            known[key] = self._tokens_of(picture)
            if len(known) > _REMEMBERED:
                known.popitem(last=False)
        known.move_to_end(key)
        return known[key]

    def _tokens_of(self, picture: Pixels | None) -> torch.Tensor:
        if picture is None and self.layout is Layout.PLAIN:
            told = torch.zeros_like(self.projection["proj.weight"][0])
        else:
            told = self.encoder.tell(picture, hidden_states=self.layout.takes_hidden_states)
        tokens = tokens_of(self.layout, self.projection, told)
        if not bool(tokens.isfinite().all()):
            raise NonFiniteOutput
        return tokens


def _keys_values(
    layer: Projections, tokens: Sequence[torch.Tensor], weights: Sequence[float]
) -> KeysValues:
    """Keys and values [1, heads, tokens, d] of several pictures."""
    keys = [linear(each, layer.key) for each in tokens]
    weighted = zip(tokens, weights, strict=True)
    values = [linear(each, layer.value) * weight for each, weight in weighted]
    return _heads(torch.cat(keys), layer.heads), _heads(torch.cat(values), layer.heads)


def _heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.reshape(len(x), heads, -1).transpose(0, 1)[None].contiguous()


def _joined(sides: Sequence[KeysValues]) -> KeysValues:
    keys, values = zip(*sides, strict=True)
    return torch.cat(keys), torch.cat(values)
