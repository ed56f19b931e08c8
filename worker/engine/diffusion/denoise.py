"""One UNet call for many trajectories: the only hot code. The letters are the papers'."""

from collections.abc import Sequence

import torch

from worker.engine.diffusion.trajectory import Trajectory
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.unet import call as unet
from worker.engine.unet.compiled import CompiledUNets
from worker.engine.unet.deepcache import kept_features, shallow_call


@torch.inference_mode()
def denoise(
    stack: LoadedModel,
    members: Sequence[Trajectory],
    rows: int,
    packages: CompiledUNets | None = None,
) -> None:
    """Advance every member by one call, with exactly `rows` UNet rows; all or none advance.

    Each row has its own timestep, prompt, guidance and sampler coefficients. Nothing is read back
    from the device here. Rows that need not be exact take compiled calls from `packages`.
    """
    s = torch.stack([member.state for member in members])
    t, scale, guidance = torch.stack([m.inputs[m.calls] for m in members]).unbind(1)
    x = s[:, 0] * _per_image(scale)
    noise = _noise(members, stack.at.device)  # on its way before the UNet keeps the device busy
    m, features = _predict(stack, members, rows, packages, x=x, t=t, guidance=guidance)
    update = torch.stack([member.updates[member.calls] for member in members])
    forms = [*s.unbind(1), m]
    if noise is not None:
        forms.append(noise)
    # Products and sums of their own, each rounded as IEEE says: a matmul or a fused multiply-add
    # would choose its order by the batch's shape, and neighbours would change a row's last bits.
    new = update[:, :, 0, None, None, None] * forms[0][:, None]
    for j, form in enumerate(forms[1:], start=1):
        new += update[:, :, j, None, None, None] * form[:, None]
    for i, member in enumerate(members):
        if member.shows:
            a, b = member.x0_coefficients[member.calls]
            member.sight = a * x[i] + b * m[i]
    for member, state, reusable in zip(members, new.unbind(0), features, strict=True):
        member.advance(state, reusable)


def _predict(
    stack: LoadedModel,
    members: Sequence[Trajectory],
    rows: int,
    packages: CompiledUNets | None,
    *,
    x: torch.Tensor,
    t: torch.Tensor,
    guidance: torch.Tensor,
) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
    """The model's guided output [images, C, h, w] in fp32; Ho & Salimans 2022, arXiv:2207.12598.

    With it the features that each image's next calls reuse, if they do.
    """
    owner = [i for i, member in enumerate(members) for _ in range(member.rows)]
    last = [row for row, i in enumerate(owner) if row + 1 == len(owner) or owner[row + 1] != i]
    first = [row + 1 - member.rows for row, member in zip(last, members, strict=True)]
    padding = rows - len(owner)
    owner += owner[-1:] * padding
    told = [member.told for member in members]
    places = _sent(torch.tensor([*owner, *first, *last]), x.device)
    of_row, firsts, lasts = torch.split(places, [rows, len(members), len(members)])
    inputs = (
        x.index_select(0, of_row).to(stack.at.dtype, memory_format=stack.at.memory_format),
        t.index_select(0, of_row),
        _joined([one.hidden for one in told], padding),
        {name: _joined([one.added[name] for one in told], padding) for name in told[0].added},
    )
    features: list[torch.Tensor | None] = [None] * len(members)
    key = members[0].key
    if key.shallow:
        kept = [one.features[-one.rows :] for one in members if one.features is not None]
        output = shallow_call(stack.unet, *inputs, features=_joined(kept, padding))
    elif key.interval > 1:
        for member in members:
            member.anchor = member.standing()
        with kept_features(stack.unet) as below:
            output = unet.call(stack, None, *inputs)
        features = [below[0][i : j + 1].clone() for i, j in zip(first, last, strict=True)]
    else:
        output = unet.call(stack, None if key.is_strict else packages, *inputs)
    output = output.float()
    # An image without guidance is its own unconditional row: u + g·0.
    u, c = output.index_select(0, firsts), output.index_select(0, lasts)
    guided = u + _per_image(guidance) * (c - u)
    for i, member in enumerate(members):
        if member.rescale:
            guided[i] = _rescaled(guided[i], c[i], member.rescale)
    return guided, features


def _rescaled(guided: torch.Tensor, c: torch.Tensor, phi: float) -> torch.Tensor:
    """Lin et al. 2023 (arXiv:2305.08891), equations 15 and 16, for one image's [C, h, w].

    Flat and alone, so that the order of its sums depends on nothing but the image's size.
    """
    contrast = c.flatten().std() / guided.flatten().std()
    return phi * (guided * contrast) + (1 - phi) * guided


def _joined(parts: list[torch.Tensor], padding: int) -> torch.Tensor:
    """All rows, and the last one again for those that only fill up the call."""
    return torch.cat(parts + [parts[-1][-1:]] * padding)


def _noise(members: Sequence[Trajectory], device: torch.device) -> torch.Tensor | None:
    drawn = [member.noise() for member in members]
    if all(noise is None for noise in drawn):
        return None
    none = torch.zeros(members[0].latent.shape)
    return _sent(torch.stack([none if n is None else n for n in drawn]), device)


def _sent(here: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The same on the device, without waiting: only a copy from pinned memory runs beside us."""
    return (here.pin_memory() if device.type == "cuda" else here).to(device, non_blocking=True)


def _per_image(value: torch.Tensor) -> torch.Tensor:
    return value[:, None, None, None]
