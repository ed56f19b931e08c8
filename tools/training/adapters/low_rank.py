"""LoRA: a product of two small matrices beside each of a model's layers, in kohya-ss's names.

Hu et al., "LoRA: low-rank adaptation of large language models", 2021; for convolutions as in
LyCORIS' LoCon.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

# A text encoder's layers are named from here, whatever the release of transformers.
_TEXT = "text_model."


@dataclass(frozen=True, slots=True)
class Form:
    """Which layers learn, and the ranks; alpha / rank is each term's scale.

    conv_rank: of 3 × 3 convolutions; 0 leaves them as they are. The same with text_rank.
    """

    rank: int
    alpha: float
    conv_rank: int = 0
    text_rank: int = 0


class LowRank(nn.Module):
    """The term of one layer, which begins at 0."""

    def __init__(self, layer: nn.Module, rank: int, alpha: float) -> None:
        super().__init__()
        self.alpha, self.scale = alpha, alpha / rank
        self.down: nn.Conv2d | nn.Linear
        self.up: nn.Conv2d | nn.Linear
        if isinstance(layer, nn.Conv2d):
            self.down = nn.Conv2d(
                layer.in_channels,
                rank,
                _square(layer.kernel_size),
                _square(layer.stride),
                _square(layer.padding),
                bias=False,
            )
            self.up = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        else:
            assert isinstance(layer, nn.Linear)
            self.down = nn.Linear(layer.in_features, rank, bias=False)
            self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """What is added to the layer's output."""
        added: torch.Tensor = self.scale * self.up(self.down(inputs))
        return added


def _square(sides: object) -> int:
    assert isinstance(sides, tuple)
    return int(sides[0])


def layers(unet: nn.Module, encoder: nn.Module | None = None) -> dict[str, nn.Module]:
    """All layers that may have a term, by kohya-ss's names."""
    found = {f"lora_unet_{name.replace('.', '_')}": layer for name, layer in _inner(unet)}
    for name, layer in _inner(encoder) if encoder is not None else ():
        full = _TEXT + name.removeprefix(_TEXT)
        found[f"lora_te_{full.replace('.', '_')}"] = layer
    return found


def _inner(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Linear layers and convolutions of attentions, ResNets and a text encoder's layers."""
    inside = (".attentions.", ".resnets.", "encoder.layers.")
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and any(part in name for part in inside):
            yield name, layer


def build(layers: Mapping[str, nn.Module], form: Form) -> nn.ModuleDict:
    """Untrained terms of those layers that a form teaches; they change nothing."""
    ranks = {name: _rank(name, layer, form) for name, layer in layers.items()}
    share = form.alpha / form.rank
    return nn.ModuleDict(
        {
            name: LowRank(layers[name], rank, share * rank)
            for name, rank in ranks.items()
            if rank > 0
        }
    )


def _rank(name: str, layer: nn.Module, form: Form) -> int:
    if name.startswith("lora_te_"):
        return form.text_rank
    if "_resnets_" not in name:
        return form.rank
    is_wide = isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)
    return form.conv_rank if is_wide else 0


@contextmanager
def attached(
    terms: nn.ModuleDict, layers: Mapping[str, nn.Module], weight: float = 1.0
) -> Iterator[None]:
    """The layers with their terms beside them, within the block."""

    def hook(term: nn.Module) -> Callable[..., torch.Tensor]:
        return lambda _layer, inputs, output: output + weight * term(inputs[0])

    handles = [layers[name].register_forward_hook(hook(term)) for name, term in terms.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def load(path: Path, layers: Mapping[str, nn.Module]) -> nn.ModuleDict:
    """The terms of a file that `save` wrote."""
    stored = {name: value.float() for name, value in load_file(path).items()}
    terms = nn.ModuleDict()
    for name in dict.fromkeys(key.split(".")[0] for key in stored):
        down = stored[f"{name}.lora_down.weight"]
        term = LowRank(layers[name], len(down), stored[f"{name}.alpha"].item())
        term.down.weight.data, term.up.weight.data = down, stored[f"{name}.lora_up.weight"]
        terms[name] = term
    return terms.eval().requires_grad_(False)


def tensors(terms: nn.ModuleDict) -> dict[str, torch.Tensor]:
    """As kohya-ss writes them, in half precision."""
    found = {}
    for name, term in terms.items():
        assert isinstance(term, LowRank)
        found[f"{name}.lora_down.weight"] = term.down.weight.detach().half().contiguous()
        found[f"{name}.lora_up.weight"] = term.up.weight.detach().half().contiguous()
        found[f"{name}.alpha"] = torch.tensor(term.alpha, dtype=torch.float16)
    return found


def save(weights: Mapping[str, torch.Tensor], path: Path, about: Mapping[str, object]) -> None:
    """Write a safetensors file with metadata, all of which are text there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in about.items()
    }
    save_file(dict(weights), path, metadata=said)
