"""LoRA files as trainers write them, and what they mean by the format's own definition.

Names after kohya-ss's sd-scripts (networks/lora.py, library/sdxl_model_util.py), LyCORIS (modules/
locon.py, loha.py), peft (save_pretrained) and diffusers (save_lora_weights), by loops over a stock
pipeline's modules, where the engine reads names.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.worker.engine.models import published

Weights = dict[str, torch.Tensor]
Deltas = dict[tuple[str, str], torch.Tensor]
NETWORKS = ("unet", "text_encoder", "text_encoder_2")


@dataclass(frozen=True)
class Term:
    """One layer's tensors; path: the module's in stock. alpha: None where the file has none."""

    network: str
    path: str
    shape: tuple[int, ...]
    tensors: Weights
    alpha: float | None

    @property
    def delta(self) -> torch.Tensor:
        """What it adds to the layer's weight at weight 1, float64: the definition itself."""
        t = {name: one.double() for name, one in self.tensors.items()}
        if "w1_a" in t:
            rank = t["w1_b"].shape[0]
            full = (t["w1_a"] @ t["w1_b"]) * (t["w2_a"] @ t["w2_b"])
        elif "mid" in t:
            rank = t["down"].shape[0]
            up, down = t["up"].flatten(1), t["down"].flatten(1)
            full = torch.einsum("or,rskl,si->oikl", up, t["mid"], down)
        else:
            rank = t["down"].shape[0]
            full = t["up"].flatten(1) @ t["down"].flatten(1)
        scale = 1.0 if self.alpha is None else self.alpha / rank
        return scale * full.reshape(self.shape)


@dataclass(frozen=True)
class Style:
    """How a trainer was told to make a file."""

    rank: int = 4
    alphas: tuple[float | None, ...] = (4.0,)  # taken in turn
    ranks: tuple[int, ...] = ()  # likewise, instead of rank
    networks: tuple[str, ...] = ("unet",)
    convolutions: bool = False
    method: str = "lora"  # or loha, tucker (of convolutions larger than 1 × 1)
    dtype: torch.dtype = torch.float32
    only: Callable[[str], bool] = lambda _: True
    size: float = 0.5  # how much the layers change, compared with their own weights


def terms(pipeline: Any, style: Style, seed: int) -> list[Term]:
    """Random ones for the layers that trainers choose."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for network in style.networks:
        for path, module in getattr(pipeline, network).named_modules():
            if not isinstance(module, torch.nn.Linear | torch.nn.Conv2d) or not style.only(path):
                continue
            is_kernel = isinstance(module, torch.nn.Conv2d) and module.kernel_size != (1, 1)
            is_block = network != "unet" or "attentions" in path or style.convolutions
            if not is_block or (is_kernel and not style.convolutions):
                continue
            number = len(found)
            rank = style.ranks[number % len(style.ranks)] if style.ranks else style.rank
            alpha = style.alphas[number % len(style.alphas)]
            shape = tuple(module.weight.shape)
            tensors = _tensors(shape, rank, style, generator, is_kernel=is_kernel)
            term = Term(network, path, shape, tensors, alpha)
            factor = style.size * module.weight.double().norm() / term.delta.norm()
            first = "w1_a" if "w1_a" in tensors else "up"
            tensors[first] = (tensors[first].float() * factor.float()).to(style.dtype)
            found.append(term)
    return found


def _tensors(
    shape: tuple[int, ...],
    rank: int,
    style: Style,
    generator: torch.Generator,
    *,
    is_kernel: bool,
) -> Weights:
    out, into, *kernel = shape
    flat = into * int(torch.tensor(kernel or [1]).prod())
    one = [1] * len(kernel)
    shapes: dict[str, tuple[int, ...]]
    if style.method == "loha":
        shapes = {"w1_a": (out, rank), "w1_b": (rank, flat), "w2_a": (out, rank)} | {
            "w2_b": (rank, flat)
        }
    elif style.method == "tucker" and is_kernel:
        shapes = {"down": (rank, into, *one), "mid": (rank, rank, *kernel), "up": (out, rank, *one)}
    else:
        shapes = {"down": (rank, into, *kernel), "up": (out, rank, *one)}
    return {
        name: torch.randn(side, generator=generator).to(style.dtype)
        for name, side in shapes.items()
    }


def deltas(found: Sequence[Term]) -> Deltas:
    return {(one.network, one.path): one.delta for one in found}


# Ends of names.
_KOHYA = {
    "down": "lora_down.weight", "mid": "lora_mid.weight", "up": "lora_up.weight",
    "w1_a": "hada_w1_a", "w1_b": "hada_w1_b", "w2_a": "hada_w2_a", "w2_b": "hada_w2_b",
}  # fmt: skip
_PEFT = {"down": "lora_A.weight", "up": "lora_B.weight"}
_ATTN_PROCS = {"down": "down.weight", "up": "up.weight"}


def kohya(found: Sequence[Term], *, is_xl: bool = False, sgm: bool = False) -> Weights:
    """sd-scripts' and LyCORIS' names, those of Stability AI's UNet where they are told to."""
    first = "te1" if is_xl else "te"
    prefix = {"unet": "unet", "text_encoder": first, "text_encoder_2": "te2"}
    names = _sgm_names([one.path for one in found if one.network == "unet"]) if sgm else {}
    weights: Weights = {}
    for one in found:
        path = names.get(one.path, one.path) if one.network == "unet" else _clip(one.path)
        module = f"lora_{prefix[one.network]}_{path.replace('.', '_')}"
        weights |= {f"{module}.{_KOHYA[part]}": tensor for part, tensor in one.tensors.items()}
        if one.alpha is not None:
            weights[f"{module}.alpha"] = torch.tensor(one.alpha)
    return weights


def _clip(path: str) -> str:
    """The path in transformers before 5.6, with which these files were made."""
    inside = path.startswith(("text_model.", "text_projection"))
    return path if inside else f"text_model.{path}"


def _sgm_names(paths: Sequence[str]) -> dict[str, str]:
    """Each path in the UNet as it was published."""
    weights = {f"{path}.weight": torch.zeros(()) for path in paths}
    moved = published.unet(weights, blocks=2, layers=1)
    return {old: new.removesuffix(".weight") for old, new in zip(paths, moved, strict=True)}


def diffusers(found: Sequence[Term]) -> Weights:
    """save_lora_weights' names of today."""
    return {
        f"{one.network}.{_clip(one.path) if one.network != 'unet' else one.path}.{_PEFT[part]}": t
        for one in found
        for part, t in one.tensors.items()
    }


def old_diffusers(found: Sequence[Term]) -> Weights:
    """Those of diffusers 0.16: of the attention's processors."""
    weights = {}
    for one in found:
        block, _, name = one.path.removesuffix(".0").rpartition(".")
        module = f"unet.{block}.processor.{name}_lora"
        weights |= {f"{module}.{_ATTN_PROCS[part]}": t for part, t in one.tensors.items()}
    return weights


def peft_folder(found: Sequence[Term], folder: Path, **config: Any) -> Path:
    """What peft's save_pretrained writes of a UNet alone."""
    folder.mkdir()
    weights = {
        f"base_model.model.{one.path}.{_PEFT[part]}": t
        for one in found
        for part, t in one.tensors.items()
    }
    save(weights, folder / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA", "r": 4, "lora_alpha": 4, "use_rslora": False, "use_dora": False,
        "rank_pattern": {}, "alpha_pattern": {}, "bias": "none", "fan_in_fan_out": False,
        "init_lora_weights": True, "lora_bias": False, "modules_to_save": None,
        "target_modules": ["to_q"], "lora_dropout": 0.0, "task_type": None, "inference_mode": True,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings | config))
    return folder


def save(weights: Mapping[str, torch.Tensor], file: Path, **metadata: str) -> Path:
    save_file({name: t.contiguous().clone() for name, t in weights.items()}, file, metadata or None)
    return file


@contextmanager
def merged(pipeline: Any, *weighted: tuple[Deltas, float, float]) -> Iterator[None]:
    """A stock pipeline with weights W + Σ weight · delta; (deltas, weight, text encoder's)."""
    before = []
    changes: Deltas = {}
    for found, weight, text_weight in weighted:
        for (network, path), delta in found.items():
            factor = weight if network == "unet" else text_weight
            known = changes.get((network, path), 0.0)
            changes[network, path] = known + factor * delta
    for (network, path), change in changes.items():
        weight = getattr(pipeline, network).get_submodule(path).weight
        before.append((weight, weight.data))
        weight.data = (weight.data.double() + change).to(weight.dtype)
    try:
        yield
    finally:
        for weight, data in before:
            weight.data = data
