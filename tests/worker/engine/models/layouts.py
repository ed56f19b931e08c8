"""Layouts that single files come in, written by names that their publishers and tools use.

Each function changes the weights of a published file, by their literal names. None shares a word
with the reader: the names are those of CompVis's and Stability AI's repositories, of kohya's
sd-scripts, of diffusers' conversion scripts and of ComfyUI's savers.
"""

import json
from collections.abc import Callable

import torch

from tests.worker.engine.models.published import Weights, under

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP, OPEN_CLIP = "cond_stage_model.transformer.", "cond_stage_model.model."
FP8 = torch.float8_e4m3fn

Change = Callable[[Weights], Weights]


def cast(dtype: torch.dtype) -> Change:
    return lambda weights: {
        name: t.to(dtype) if t.is_floating_point() else t for name, t in weights.items()
    }


def moved(old: str, new: str) -> Change:
    return lambda weights: {
        new + name.removeprefix(old) if name.startswith(old) else name: t
        for name, t in weights.items()
    }


def replaced(*pairs: tuple[str, str]) -> Change:
    def change(weights: Weights) -> Weights:
        found = {}
        for name, tensor in weights.items():
            for old, new in pairs:
                name = name.replace(old, new)
            found[name] = tensor
        return found

    return change


def without(*prefixes: str) -> Change:
    return lambda weights: {n: t for n, t in weights.items() if not n.startswith(prefixes)}


def only(*prefixes: str) -> Change:
    return lambda weights: {n: t for n, t in weights.items() if n.startswith(prefixes)}


def adding(more: Weights) -> Change:
    return lambda weights: weights | more


def then(*changes: Change) -> Change:
    def change(weights: Weights) -> Weights:
        for one in changes:
            weights = one(weights)
        return weights

    return change


def with_ema(weights: Weights) -> Weights:
    """CompVis's LitEma: its own copy of the UNet, whose names lose their dots."""
    copies = {
        f"model_ema.{name.removeprefix('model.').replace('.', '')}": tensor + 1
        for name, tensor in weights.items()
        if name.startswith(UNET)
    }
    counts = {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(7)}
    return weights | copies | counts


def under_state_dict(weights: Weights) -> Weights:
    """A Lightning checkpoint that was flattened with its first key."""
    return under("state_dict", weights) | {"global_step": torch.tensor(470000)}


def vae_attention_as_matrices(weights: Weights) -> Weights:
    """As diffusers' conversion scripts wrote it after diffusers had renamed its attention."""
    names = (
        (".attn_1.q.", ".attn_1.to_q."), (".attn_1.k.", ".attn_1.to_k."),
        (".attn_1.v.", ".attn_1.to_v."), (".attn_1.proj_out.", ".attn_1.to_out.0."),
    )  # fmt: skip
    return {
        name: t.flatten(1) if ".attn_1.to_" in name and t.ndim == 4 else t
        for name, t in replaced(*names)(weights).items()
    }


def open_clip_as_transformers(weights: Weights) -> Weights:
    """An OpenCLIP's weights under transformers' names, as merging tools keep SD 2.x's encoder."""
    names = (
        ("transformer.resblocks.", "text_model.encoder.layers."), (".ln_1.", ".layer_norm1."),
        (".ln_2.", ".layer_norm2."), (".c_fc.", ".fc1."), (".c_proj.", ".fc2."),
        (".attn.", ".self_attn."), ("ln_final.", "text_model.final_layer_norm."),
        ("token_embedding.", "text_model.embeddings.token_embedding."),
    )  # fmt: skip
    found: Weights = {}
    for published, tensor in weights.items():
        if not published.startswith(OPEN_CLIP):
            found[published] = tensor
            continue
        [name] = replaced(*names)({published.removeprefix(OPEN_CLIP): tensor})
        name = CLIP + name
        if name.endswith("positional_embedding"):
            found[f"{CLIP}text_model.embeddings.position_embedding.weight"] = tensor
        elif ".in_proj_" in name:
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                found[name.replace("in_proj_", f"{letter}_proj.")] = part
        else:
            found[name] = tensor
    return found


def last_layer_dropped(weights: Weights) -> Weights:
    """As diffusers' script writes a folder of SD 2.x, whose encoder has 23 layers."""
    last = f"{OPEN_CLIP}transformer.resblocks.23."
    return without(last, f"{OPEN_CLIP}text_projection", f"{OPEN_CLIP}logit_scale")(weights)


def scaled(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A tensor as fp8 values and the scale that they are to be multiplied by."""
    scale = (tensor.abs().max() / 448).float()
    return (tensor / scale).to(FP8), scale


def _is_scaled(name: str, tensor: torch.Tensor) -> bool:
    return name.startswith(UNET) and name.endswith(".weight") and tensor.ndim == 2


def fp8_scaled(weight_scale: str, input_scale: str, *, marks: str) -> Change:
    """ComfyUI's scaled fp8: `scale_weight` with the mark `scaled_fp8`, later `weight_scale`."""

    def change(weights: Weights) -> Weights:
        found: Weights = {}
        for name, tensor in weights.items():
            if not _is_scaled(name, tensor):
                found[name] = tensor
                continue
            layer = name.removesuffix(".weight")
            found[name], found[f"{layer}.{weight_scale}"] = scaled(tensor)
            found[f"{layer}.{input_scale}"] = torch.tensor(1.0)
            if marks == "comfy_quant":
                text = json.dumps({"format": "float8_e4m3fn"}).encode()
                found[f"{layer}.comfy_quant"] = torch.tensor(list(text), dtype=torch.uint8)
        if marks == "scaled_fp8":
            found[f"{UNET}scaled_fp8"] = torch.zeros(2, dtype=FP8)
        return found

    return change


def as_scaled(tensor: torch.Tensor) -> torch.Tensor:
    """What such a tensor means."""
    values, scale = scaled(tensor)
    return values.float() * scale


def fp8_in_blocks(weights: Weights) -> Weights:
    """A scale for each block, as int8_blockwise and mxfp8 have."""
    found = fp8_scaled("weight_scale", "input_scale", marks="")(weights)
    name = next(name for name in found if name.endswith(".weight_scale"))
    return found | {name: found[name].expand(2, 2)}


def int8(weights: Weights) -> Weights:
    name = next(name for name, tensor in weights.items() if _is_scaled(name, tensor))
    return weights | {name: (weights[name] * 100).to(torch.int8)}


def input_channels(count: int) -> Change:
    """A UNet that takes more than the latent: 9 for inpainting, 8 for editing."""

    def change(weights: Weights) -> Weights:
        name = f"{UNET}input_blocks.0.0.weight"
        first = weights[name]
        more = torch.randn(first.shape[0], count - first.shape[1], 3, 3)
        return weights | {name: torch.cat([first, more], 1)}

    return change


YAML_V = """model:
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    parameterization: "v"
    linear_start: 0.00085
    linear_end: 0.0120
    timesteps: 1000
    image_size: 64
    scale_factor: 0.18215
    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params: {image_size: 32, in_channels: 4, model_channels: 320, num_heads: 8}
"""
YAML_EPSILON_2 = """model:
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    linear_start: 0.00085
    linear_end: 0.0120
    timesteps: 1000
    image_size: 64
    scale_factor: 0.18215
    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params: {num_head_channels: 64, use_linear_in_transformer: True, context_dim: 1024}
    cond_stage_config:
      target: ldm.modules.encoders.modules.FrozenOpenCLIPEmbedder
      params: {freeze: True, layer: "penultimate"}
"""
# v2-inference-v.yaml, of 768 pixels, says image_size: 64 as its neighbour of 512 pixels does.
YAML_V_2 = YAML_EPSILON_2.replace("params:\n", 'params:\n    parameterization: "v"\n', 1)
YAML_SGM_V = """model:
  target: sgm.models.diffusion.DiffusionEngine
  params:
    scale_factor: 0.13025
    denoiser_config:
      target: sgm.modules.diffusionmodules.denoiser.DiscreteDenoiser
      params:
        num_idx: 1000
        scaling_config: {target: sgm.modules.diffusionmodules.denoiser_scaling.VScaling}
        discretization_config:
          target: sgm.modules.diffusionmodules.discretizer.LegacyDDPMDiscretization
    network_config:
      target: sgm.modules.diffusionmodules.openaimodel.UNetModel
      params: {adm_in_channels: 2816, num_head_channels: 64}
"""
YAML_SGM_EDM = YAML_SGM_V.replace("VScaling}", "VScalingWithEDMcNoise}")
YAML_NO_CLIP = (
    YAML_V.replace('"v"', '"eps"')
    + """    cond_stage_config:
      target: ldm.modules.encoders.modules.FrozenCLIPEmbedder
      params: {layer: "hidden", layer_idx: -2}
"""
)
