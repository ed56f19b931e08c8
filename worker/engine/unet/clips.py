"""A UNet with a motion module, called for whole clips."""

from typing import Any

import torch

from worker.engine.unet.inputs import UNetInputs


def eager_clips(unet: Any, inputs: UNetInputs, frames: int) -> torch.Tensor:
    """The UNet's output, [rows, C, frames · h, w], of as large an x: a row is a whole clip.

    Each frame is a row of the UNet's own layers, with its clip's timestep and prompt; the motion
    module's layers see the frames of one row together, and nothing of other rows.
    """
    rows, channels, height, width = inputs.x.shape
    output: torch.Tensor = unet(
        inputs.x.reshape(rows, channels, frames, height // frames, width),
        inputs.t,
        encoder_hidden_states=inputs.hidden.repeat_interleave(frames, dim=0),
        return_dict=False,
    )[0]
    return output.reshape(rows, channels, height, width)
