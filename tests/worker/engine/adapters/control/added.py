"""Stock's UNet with what stock's controls add, as its pipelines give it at each call."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from diffusers.models.adapter import T2IAdapter
from PIL import Image

from latentry.contracts import Control, ControlMode, ResolvedRequest
from latentry.rules.passes import passes
from latentry.rules.pricing import pass_calls
from tests import modes


def shown(control: Control, request: ResolvedRequest) -> torch.Tensor:
    """Its picture at the size of a pass, [1, 3, H, W]."""
    image = Image.fromarray(modes.pictures(int(control.image.pixel_sha256))["image"])
    resized = image.resize((request.width, request.height), Image.Resampling.LANCZOS)
    values = torch.frombuffer(bytearray(resized.tobytes()), dtype=torch.uint8)
    return values.reshape(1, request.height, request.width, 3).permute(0, 3, 1, 2).float() / 255


def residuals(net: Any, control: Control, cond: torch.Tensor, call: Mapping[str, Any]) -> Any:
    """What one adds: the negative prompt's row gets zeros where the prompt alone has it."""
    x, rows = call["sample"][:, :4], len(call["sample"])
    own = slice(rows - 1, rows) if control.mode.is_of_prompt_alone else slice(0, rows)
    down, middle = net(
        x[own],
        call["timestep"],
        encoder_hidden_states=call["encoder_hidden_states"][own],
        controlnet_cond=cond.expand(len(x[own]), -1, -1, -1),
        conditioning_scale=control.weight,
        guess_mode=control.mode is ControlMode.GUESS,
        added_cond_kwargs={n: v[own] for n, v in (call.get("added_cond_kwargs") or {}).items()},
        return_dict=False,
    )
    values = [*down, middle]
    if control.mode in (ControlMode.PROMPT, ControlMode.CONTROL):
        values = [value * 0.825 ** (12 - k) for k, value in enumerate(values)]
    missing = rows - len(values[0])
    return [torch.cat([torch.zeros_like(value)] * missing + [value]) for value in values]


@contextmanager
def controlled(pipeline: Any, request: ResolvedRequest, nets: Mapping[str, Any]) -> Iterator[None]:
    """Around stock's own calls for all passes of a request."""
    forward, walked = pipeline.unet.forward, iter(_calls(request))

    def added(sample: torch.Tensor, timestep: Any, **call: Any) -> Any:
        one, number, count = next(walked)
        seen = {"sample": sample, "timestep": timestep, **call}
        counting = [
            (nets[control.id], control, shown(control, one))
            for control in one.controls
            if control.start <= number / count and (number + 1) / count <= control.end
        ]
        features = [
            [control.weight * value for value in net(picture)]
            for net, control, picture in counting
            if isinstance(net, T2IAdapter)
        ]
        each = [
            residuals(net, control, picture, seen)
            for net, control, picture in counting
            if not isinstance(net, T2IAdapter)
        ]
        if features:
            summed = [sum(values) for values in zip(*features, strict=True)]
            call["down_intrablock_additional_residuals"] = summed
        if each:
            *down, middle = map(sum, zip(*each, strict=True))
            call |= {
                "down_block_additional_residuals": tuple(down),
                "mid_block_additional_residual": middle,
            }
        return forward(sample, timestep, **call)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.unet, "forward", added)
        yield


def _calls(request: ResolvedRequest) -> Iterator[tuple[ResolvedRequest, int, int]]:
    for one in passes(request):
        for number in range(count := pass_calls(one)):
            yield one, number, count
