"""Joined attention projections compute what the single ones did."""

import torch

from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.models.fuse import fuse_projections


def test_joined_projections_say_the_same_and_take_no_more_memory(backend: Diffusion) -> None:
    unet = backend.models["epsilon"].unet
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([10.0, 900.0])
    hidden = torch.randn(2, 77, unet.config.cross_attention_dim)
    fused = type(unet).from_config(unet.config)
    fused.load_state_dict(unet.state_dict())
    fuse_projections(fused.eval())
    with torch.inference_mode():
        single = unet(x, t, encoder_hidden_states=hidden).sample
        joined = fused(x, t, encoder_hidden_states=hidden).sample
    assert torch.allclose(single, joined, atol=1e-5)
    size = sum(one.numel() for one in unet.parameters())
    assert sum(one.numel() for one in fused.parameters()) == size
