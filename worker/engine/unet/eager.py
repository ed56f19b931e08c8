"""A UNet called as diffusers has it."""

from typing import Any

import torch

from worker.engine.unet.inputs import UNetInputs


def eager(unet: Any, inputs: UNetInputs) -> torch.Tensor:
    """The UNet's output, [rows, C, h, w]."""
    output: torch.Tensor = unet(
        inputs.x,
        inputs.t,
        encoder_hidden_states=inputs.hidden,
        added_cond_kwargs=inputs.added,
        return_dict=False,
    )[0]
    return output
