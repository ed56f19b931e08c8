"""Many images' rows in the one set of inputs of a UNet call."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

from worker.engine.device import sent
from worker.engine.diffusion.trajectory import Trajectory
from worker.engine.unet.inputs import UNetInputs


@dataclass(frozen=True, slots=True, eq=False)
class PackedRows:
    """A call's inputs, with the first and last row of each image, on the host and on the device.

    An image's first row is the negative prompt's if it is guided, and its second one too if it is
    an edit, of which the first sees no picture; its last ones are the prompt's,
    one for each of its `weights`: as a rule one, which is also the first if it is not guided. The
    last `padding` rows are of no image.
    """

    inputs: UNetInputs
    padding: int
    first: list[int]
    last: list[int]
    weights: list[tuple[float, ...]]
    first_rows: torch.Tensor
    last_rows: torch.Tensor

    @property
    def places(self) -> list[range]:
        """Each image's rows."""
        ends = zip(self.first, self.last, strict=True)
        return [range(first, last + 1) for first, last in ends]


def pack(
    members: Sequence[Trajectory], rows: int, *, x: torch.Tensor, t: torch.Tensor
) -> PackedRows:
    """From the members' scaled latents x [images, C, h, w] and timesteps t [images], in fp32."""
    at = members[0].model.at
    counts = [member.rows for member in members]
    owner = [i for i, count in enumerate(counts) for _ in range(count)]
    last = [end - 1 for end in accumulate(counts)]
    first = [row + 1 - count for row, count in zip(last, counts, strict=True)]
    padding = rows - len(owner)
    owner += owner[-1:] * padding
    conditioning = [member.active_conditioning for member in members]
    places = sent(torch.tensor([*owner, *first, *last]), x.device)
    of_row, first_rows, last_rows = torch.split(places, [rows, len(members), len(members)])
    x = x.index_select(0, of_row)
    beside = [seen for member in members if (seen := member.beside_rows) is not None]
    if beside:
        x = torch.cat([x, joined(beside, padding)], dim=1)
    inputs = UNetInputs(
        x.to(at.dtype, memory_format=at.memory_format),
        t.index_select(0, of_row),
        joined([one.hidden for one in conditioning], padding),
        {
            name: joined([one.added[name] for one in conditioning], padding)
            for name in conditioning[0].added
        },
    )
    weights = [one.weights for one in conditioning]
    return PackedRows(inputs, padding, first, last, weights, first_rows, last_rows)


def joined(parts: list[torch.Tensor], padding: int) -> torch.Tensor:
    """All rows, and the last one again for those that only fill up the call."""
    return torch.cat(parts + [parts[-1][-1:]] * padding)
