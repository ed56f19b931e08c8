"""One run of an image through a sampler's noise levels: its table and prompts, on the device."""

import math
from dataclasses import dataclass, replace

import torch

from latentry.contracts import Upscaler
from worker.batching import BatchKey
from worker.engine.adapters.control.rows import Active
from worker.engine.conditioning import ConditioningByCall
from worker.engine.diffusion.predicted_x0 import X0Coefficients, x0_coefficients
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.samplers import Level, Table


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """The calls that an image makes of one model at one latent size; text-to-image is one pass.

    key: of its full calls; its height and width are the latent's. inputs [calls, 3]: timestep,
    scale and guidance of each call. updates [calls, 5, 7], draws, initial_sigma, levels and
    final_scale: as in Table; steps_done too, without the steps that a second pass skips.
    timesteps: of each call, on the host. upscaler: how what the pass before ended with is enlarged
    and noised for this one; None to go on from it as it is.
    guided_calls: guidance stops after so many; below 0 where it had stopped before. controls: of
    the request, each with its own calls.
    """

    model: LoadedModel
    key: BatchKey
    conditioning: ConditioningByCall
    inputs: torch.Tensor
    updates: torch.Tensor
    draws: tuple[bool, ...]
    steps_done: tuple[int, ...]
    initial_sigma: float
    levels: tuple[Level, ...]
    final_scale: float = 1.0
    timesteps: tuple[float, ...] = ()
    upscaler: Upscaler | None = None
    guided_calls: float = math.inf
    controls: tuple[Active, ...] = ()

    @classmethod
    def of(
        cls,
        table: Table,
        model: LoadedModel,
        *,
        key: BatchKey,
        conditioning: ConditioningByCall,
        guidance_scale: float,
        is_first: bool = True,
        upscaler: Upscaler | None = None,
        guided_calls: float = math.inf,
        controls: tuple[Active, ...] = (),
    ) -> "Pass":
        """Move a table to the model's device, with the guidance of its calls."""
        device = model.at.device
        inputs = torch.tensor(table.inputs, dtype=torch.float32)
        skipped = 0 if is_first else table.steps_done[0]
        guidance = torch.full((len(inputs), 1), guidance_scale)
        return cls(
            model=model,
            key=key,
            conditioning=conditioning,
            inputs=torch.cat([inputs, guidance], dim=1).to(device),
            updates=torch.tensor(table.updates, dtype=torch.float32, device=device),
            draws=table.draws,
            steps_done=tuple(step - skipped for step in table.steps_done),
            initial_sigma=table.initial_sigma,
            levels=table.levels,
            final_scale=table.final_scale,
            timesteps=tuple(table.inputs[:, 0].tolist()),
            upscaler=upscaler,
            guided_calls=guided_calls,
            controls=controls,
        )

    @property
    def calls(self) -> int:
        """How many calls it makes."""
        return len(self.draws)

    def key_at(self, call: int) -> BatchKey:
        """The key of this call: every `interval`-th, from the first one on, is full (DeepCache)."""
        is_shallow = call % self.key.interval > 0
        return replace(self.key, shallow=True) if is_shallow else self.key

    def x0_coefficients(self, call: int) -> X0Coefficients:
        """How to predict x₀ from what goes into the UNet at this call and what comes out."""
        return x0_coefficients(self.model.schedule, self.timesteps[call])

    def is_guided(self, call: int) -> bool:
        """Whether this call comes before guidance stops."""
        return call < self.guided_calls

    def controls_at(self, call: int) -> tuple[Active, ...]:
        """The controls that count at this call."""
        return tuple(one for one in self.controls if call in one.calls)
