"""One matrix for queries, keys and values: fewer and larger products, which suit a GPU."""

from typing import Any


def fuse_projections(unet: Any) -> None:
    """Join the projections of every attention block, and drop the single ones.

    diffusers' fuse_qkv_projections alone would keep both in memory.
    """
    unet.fuse_qkv_projections()
    unet.requires_grad_(False)
    for module in unet.modules():
        if hasattr(module, "to_qkv"):
            del module.to_q, module.to_k, module.to_v
        elif hasattr(module, "to_kv"):
            del module.to_k, module.to_v
