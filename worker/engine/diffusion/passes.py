"""One run of an image through a sampler's noise levels: its table, on the device."""

from dataclasses import dataclass, replace

import torch

from worker.batching import BatchKey
from worker.engine.diffusion.predicted_x0 import X0Coefficients, x0_coefficients
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.samplers import Level, Table


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """The calls that an image makes at one latent size; text-to-image is one pass.

    key: of its full calls. inputs [calls, 3]: timestep, scale and guidance of each call. updates
    [calls, 5, 7], draws, steps_done, initial_sigma and levels: as in Table. x0_coefficients:
    how to predict x₀ at each call, for previews.
    """

    key: BatchKey
    inputs: torch.Tensor
    updates: torch.Tensor
    draws: tuple[bool, ...]
    steps_done: tuple[int, ...]
    initial_sigma: float
    levels: tuple[Level, ...]
    x0_coefficients: tuple[X0Coefficients, ...] = ()

    @classmethod
    def of(
        cls,
        table: Table,
        model: LoadedModel,
        *,
        key: BatchKey,
        guidance_scale: float,
        has_previews: bool = False,
    ) -> "Pass":
        """Move a table to the model's device, with the guidance of its calls."""
        device = model.at.device
        inputs = torch.tensor(table.inputs, dtype=torch.float32)
        guidance = torch.full((len(inputs), 1), guidance_scale)
        return cls(
            key=key,
            inputs=torch.cat([inputs, guidance], dim=1).to(device),
            updates=torch.tensor(table.updates, dtype=torch.float32, device=device),
            draws=table.draws,
            steps_done=table.steps_done,
            initial_sigma=table.initial_sigma,
            levels=table.levels,
            x0_coefficients=x0_coefficients(model.schedule, table) if has_previews else (),
        )

    @property
    def calls(self) -> int:
        """How many calls it makes."""
        return len(self.draws)

    def key_at(self, call: int) -> BatchKey:
        """The key of this call: every `interval`-th, from the first one on, is full (DeepCache)."""
        is_shallow = call % self.key.interval > 0
        return replace(self.key, shallow=True) if is_shallow else self.key

    def is_guided(self, call: int, guidance_stop: float) -> bool:
        """Whether this call is within that fraction of the calls made."""
        return call < self.calls * guidance_stop
