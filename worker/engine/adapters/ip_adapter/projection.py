"""An image encoder's answer to the tokens that a UNet attends to, by a file's `image_proj`.

As ImageProjModel, MLPProjModel and Resampler of the repository tencent-ailab/IP-Adapter.
"""

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention

from worker.engine.adapters.ip_adapter.layout import HEAD, Layout, depth

Weights: TypeAlias = Mapping[str, torch.Tensor]


def tokens_of(layout: Layout, weights: Weights, told: torch.Tensor) -> torch.Tensor:
    """Tokens [tokens, width]; told: an embedding [takes], or hidden states [n, takes]."""
    match layout:
        case Layout.PLAIN:
            width = len(weights["norm.weight"])
            return _norm(weights, "norm", _linear(weights, "proj", told).reshape(-1, width))
        case Layout.FULL:
            inner = gelu(_linear(weights, "proj.0", told))
            return _norm(weights, "proj.3", _linear(weights, "proj.2", inner))
        case Layout.PLUS:
            return _resampled(weights, told)


def _resampled(weights: Weights, told: torch.Tensor) -> torch.Tensor:
    latents, x = weights["latents"][0], _linear(weights, "proj_in", told)
    for number in range(depth(weights)):
        at, feed = f"layers.{number}.0", f"layers.{number}.1"
        latents = _attended(weights, at, x, latents) + latents
        inner = gelu(linear(_norm(weights, f"{feed}.0", latents), weights[f"{feed}.1.weight"]))
        latents = linear(inner, weights[f"{feed}.3.weight"]) + latents
    return _norm(weights, "norm_out", _linear(weights, "proj_out", latents))


def _attended(weights: Weights, at: str, x: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """What the latents take from the picture and from each other."""
    x, latents = _norm(weights, f"{at}.norm1", x), _norm(weights, f"{at}.norm2", latents)
    query = linear(latents, weights[f"{at}.to_q.weight"])
    key, value = linear(torch.cat([x, latents]), weights[f"{at}.to_kv.weight"]).chunk(2, dim=-1)
    parts = (_heads(query), _heads(key), _heads(value))
    found = scaled_dot_product_attention(*parts).transpose(1, 2).reshape(query.shape)
    return linear(found, weights[f"{at}.to_out.weight"])


def _heads(x: torch.Tensor) -> torch.Tensor:
    """[n, heads · HEAD] as [1, heads, n, HEAD]."""
    return x.reshape(1, len(x), -1, HEAD).transpose(1, 2)


def _linear(weights: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    return linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(weights: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    weight = weights[f"{name}.weight"]
    return layer_norm(x, weight.shape, weight, weights[f"{name}.bias"])
