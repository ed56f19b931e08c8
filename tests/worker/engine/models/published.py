"""Write a diffusers folder as one file in the layout it was published in.

After diffusers' own scripts/convert_diffusers_to_original_stable_diffusion.py and
convert_diffusers_to_original_sdxl.py: loops over blocks, where the engine reads names.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Weights = dict[str, torch.Tensor]

_RESNET = [
    ("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"), ("time_emb_proj", "emb_layers.1"),
    ("conv_shortcut", "skip_connection"),
]  # fmt: skip


def _moved(weights: Weights, pairs: list[tuple[str, str]], *, exact: bool = False) -> Weights:
    found = {}
    for name, tensor in weights.items():
        for new, old in pairs:
            if name.startswith(f"{new}."):
                found[old + name.removeprefix(new)] = tensor
                break
        else:
            assert not exact, name
            found[name] = tensor
    return found


def unet(weights: Weights, *, blocks: int, layers: int) -> Weights:
    pairs = [
        ("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"),
        ("add_embedding.linear_1", "label_emb.0.0"), ("add_embedding.linear_2", "label_emb.0.2"),
        ("conv_in", "input_blocks.0.0"), ("conv_norm_out", "out.0"), ("conv_out", "out.2"),
        ("mid_block.resnets.0", "middle_block.0"), ("mid_block.attentions.0", "middle_block.1"),
        ("mid_block.resnets.1", "middle_block.2"),
    ]  # fmt: skip
    for i in range(blocks):
        for j in range(layers):
            place = f"input_blocks.{(layers + 1) * i + j + 1}"
            pairs.append((f"down_blocks.{i}.resnets.{j}", f"{place}.0"))
            pairs.append((f"down_blocks.{i}.attentions.{j}", f"{place}.1"))
        place = f"input_blocks.{(layers + 1) * (i + 1)}"
        pairs.append((f"down_blocks.{i}.downsamplers.0.conv", f"{place}.0.op"))
        for j in range(layers + 1):
            place = f"output_blocks.{(layers + 1) * i + j}"
            pairs.append((f"up_blocks.{i}.resnets.{j}", f"{place}.0"))
            pairs.append((f"up_blocks.{i}.attentions.{j}", f"{place}.1"))
        attends = any(name.startswith(f"up_blocks.{i}.attentions") for name in weights)
        pairs.append((f"up_blocks.{i}.upsamplers.0", f"{place}.{1 + attends}"))
    moved = _moved(weights, pairs, exact=True)
    found = {}
    for name, tensor in moved.items():
        is_resnet = not name.startswith("out.") and ".transformer_blocks." not in name
        for new, old in _RESNET if is_resnet else []:
            name = name.replace(new, old)
        found[name] = tensor
    return found


def vae(weights: Weights, *, blocks: int) -> Weights:
    pairs = []
    for i in range(blocks):
        for j in range(3):
            pairs.append((f"encoder.down_blocks.{i}.resnets.{j}", f"encoder.down.{i}.block.{j}"))
            up = f"decoder.up.{blocks - 1 - i}"
            pairs.append((f"decoder.up_blocks.{i}.resnets.{j}", f"{up}.block.{j}"))
        down = f"encoder.down.{i}.downsample"
        pairs.append((f"encoder.down_blocks.{i}.downsamplers.0", down))
        pairs.append((f"decoder.up_blocks.{i}.upsamplers.0", f"{up}.upsample"))
    attention = [("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v")]
    for side in ("encoder", "decoder"):
        for j in range(2):
            pairs.append((f"{side}.mid_block.resnets.{j}", f"{side}.mid.block_{j + 1}"))
        for new, old in [*attention, ("to_out.0", "proj_out")]:
            pairs.append((f"{side}.mid_block.attentions.0.{new}", f"{side}.mid.attn_1.{old}"))
        pairs.append((f"{side}.conv_norm_out", f"{side}.norm_out"))
    return {
        name.replace("conv_shortcut", "nin_shortcut"): tensor[:, :, None, None]
        if ".attn_1." in name and tensor.ndim == 2
        else tensor
        for name, tensor in _moved(weights, pairs).items()
    }


def open_clip(weights: Weights) -> Weights:
    pairs = [
        ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"), ("mlp.c_fc", "mlp.fc1"),
        ("mlp.c_proj", "mlp.fc2"), ("attn.out_proj", "self_attn.out_proj"),
    ]  # fmt: skip
    found: Weights = {}
    for name, tensor in weights.items():
        name = name.removeprefix("text_model.")
        name = name.replace("encoder.layers.", "transformer.resblocks.")
        name = name.replace("final_layer_norm", "ln_final")
        name = name.replace("embeddings.token_embedding", "token_embedding")
        name = name.replace("embeddings.position_embedding.weight", "positional_embedding")
        for old, new in pairs:
            name = name.replace(new, old)
        if name == "text_projection.weight":
            found["text_projection"] = tensor.T.contiguous()
        elif ".self_attn.q_proj." in name:
            block, kind = name.split(".self_attn.q_proj.")
            parts = [weights[_beside(weights, block, one, kind)] for one in "qkv"]
            found[f"{block}.attn.in_proj_{kind}"] = torch.cat(parts)
        elif ".self_attn." not in name:
            found[name] = tensor
    return found


def _beside(weights: Weights, block: str, one: str, kind: str) -> str:
    layer = block.replace("transformer.resblocks.", "encoder.layers.")
    name = f"{layer}.self_attn.{one}_proj.{kind}"
    return name if name in weights else f"text_model.{name}"


def weights_of(folder: Path) -> Weights:
    """A folder's weights under the names of one file; every family says by its keys what it is."""

    def part(name: str, stem: str = "diffusion_pytorch_model") -> Weights:
        return load_file(folder / name / f"{stem}.safetensors")

    def config(name: str) -> dict[str, Any]:
        return json.loads((folder / name / "config.json").read_text())

    shape = config("unet")
    blocks, layers = len(shape["block_out_channels"]), shape["layers_per_block"]
    weights = under("model.diffusion_model", unet(part("unet"), blocks=blocks, layers=layers))
    blocks = len(config("vae")["block_out_channels"])
    weights |= under("first_stage_model", vae(part("vae"), blocks=blocks))
    if (folder / "text_encoder_2").exists():
        second = open_clip(part("text_encoder_2", "model")) | {"logit_scale": torch.tensor(4.6)}
        if not (folder / "text_encoder").exists():
            return weights | under("conditioner.embedders.0.model", second)
    text = part("text_encoder", "model")
    clip = {f"text_model.{name.removeprefix('text_model.')}": t for name, t in text.items()}
    clip["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    if (folder / "text_encoder_2").exists():
        weights |= under("conditioner.embedders.0.transformer", clip)
        return weights | under("conditioner.embedders.1.model", second)
    if config("text_encoder")["hidden_act"] == "gelu":
        weights |= under("cond_stage_model.model", _whole_open_clip(open_clip(text)))
    else:
        weights |= under("cond_stage_model.transformer", clip)
    return weights | ddpm_buffers()


def ddpm_buffers() -> Weights:
    """What CompVis's `DDPM.register_schedule` leaves in every file that it saved."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = torch.cumprod(1 - betas, 0)
    before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
    variance = betas * (1 - before) / (1 - kept)
    buffers = {
        "betas": betas, "alphas_cumprod": kept, "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": kept.sqrt(), "sqrt_one_minus_alphas_cumprod": (1 - kept).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - kept).log(), "logvar": torch.zeros(1000),
        "sqrt_recip_alphas_cumprod": (1 / kept).sqrt(), "posterior_variance": variance,
        "sqrt_recipm1_alphas_cumprod": (1 / kept - 1).sqrt(),
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - kept),
        "posterior_mean_coef2": (1 - before) * (1 - betas).sqrt() / (1 - kept),
    }  # fmt: skip
    return {name: buffer.float() for name, buffer in buffers.items()}


def write(folder: Path, file: Path, *, metadata: dict[str, str] | None = None) -> Path:
    """One file from a folder."""
    return save(weights_of(folder), file, metadata)


def save(weights: Weights, file: Path, metadata: dict[str, str] | None = None) -> Path:
    """Any weights in one file."""
    save_file({name: t.contiguous().clone() for name, t in weights.items()}, file, metadata)
    return file


def _whole_open_clip(weights: Weights) -> Weights:
    """SD 2.x was published with the layer, the projection and the scale that it does not use."""
    layers = {int(name.split(".")[2]) for name in weights if "resblocks" in name}
    last = {name: t for name, t in weights.items() if f"resblocks.{max(layers)}." in name}
    more = {
        name.replace(f"resblocks.{max(layers)}.", f"resblocks.{max(layers) + 1}."): t + 1
        for name, t in last.items()
    }
    width = weights["ln_final.weight"].shape[0]
    unused = {"text_projection": torch.randn(width, width), "logit_scale": torch.tensor(4.6)}
    return weights | more | unused


def under(prefix: str, weights: Weights) -> Weights:
    """The weights with a prefix before their names."""
    return {f"{prefix}.{name}": tensor for name, tensor in weights.items()}
