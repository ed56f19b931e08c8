"""DeepCache (Ma et al. 2023, arXiv:2312.00858): the UNet's deep features change slowly.

A full call keeps what comes up from below the outermost blocks; the calls after it compute only
those blocks, and use what was kept.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from worker.engine.unet.inputs import UNetInputs


@contextmanager
def kept_features(unet: Any) -> Iterator[list[torch.Tensor]]:
    """Around a full call: it puts the last up block's input, [rows, C', h, w], into the list."""
    kept: list[torch.Tensor] = []

    def keep(_: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        kept.append(options["hidden_states"])

    hook = unet.up_blocks[-1].register_forward_pre_hook(keep, with_kwargs=True)
    try:
        yield kept
    finally:
        hook.remove()


def shallow_call(unet: Any, inputs: UNetInputs, features: torch.Tensor) -> torch.Tensor:
    """The outermost blocks alone, [rows, C, h, w], on features [rows, C', h, w] of a full call.

    As diffusers' UNet2DConditionModel.forward with the blocks between left out.
    """
    x, t, hidden, added = inputs.tensors
    if unet.config.center_input_sample:
        x = 2 * x - 1.0
    temb = unet.time_embedding(unet.get_time_embed(sample=x, timestep=t))
    extra = unet.get_aug_embed(emb=temb, encoder_hidden_states=hidden, added_cond_kwargs=added)
    if extra is not None:
        temb = temb + extra
    if unet.time_embed_act is not None:
        temb = unet.time_embed_act(temb)
    first = unet.conv_in(x)
    _, residuals = _block(unet.down_blocks[0], hidden, hidden_states=first, temb=temb)
    last = unet.up_blocks[-1]
    sample = _block(
        last,
        hidden,
        hidden_states=features,
        temb=temb,
        res_hidden_states_tuple=(first, *residuals)[: len(last.resnets)],
    )
    if unet.conv_norm_out is not None:
        sample = unet.conv_act(unet.conv_norm_out(sample))
    output: torch.Tensor = unet.conv_out(sample)
    return output


def _block(block: Any, hidden: torch.Tensor, **inputs: Any) -> Any:
    if getattr(block, "has_cross_attention", False):
        inputs["encoder_hidden_states"] = hidden
    return block(**inputs)
