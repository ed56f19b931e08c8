"""One UNet call for many trajectories: the only hot code. The letters are the papers'."""

from collections.abc import Sequence

import torch

from latentry.contracts import Seamless
from worker.engine.adapters.control.rows import ControlRows, call_features, call_residuals
from worker.engine.adapters.lora.rows import likeness, unet_uses
from worker.engine.device import sent
from worker.engine.diffusion.guidance import guided
from worker.engine.diffusion.packing import PackedRows, joined, pack
from worker.engine.diffusion.trajectory import Trajectory
from worker.engine.image_attention import Look, looking, together
from worker.engine.low_rank.rows import adapted
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.residuals import with_residuals
from worker.engine.seamless import padded
from worker.engine.unet import call as unet
from worker.engine.unet.clips import eager_clips
from worker.engine.unet.compiled import CompiledUNets
from worker.engine.unet.deepcache import kept_features, shallow_call


@torch.inference_mode()
def denoise(
    model: LoadedModel,
    members: Sequence[Trajectory],
    rows: int,
    compiled: CompiledUNets | None = None,
) -> None:
    """Advance every member by one call, with exactly `rows` UNet rows; all or none advance.

    Each row has its own timestep, prompt, guidance and sampler coefficients. Nothing is read back
    from the device here. Rows that need not be exact take calls from `compiled`.
    """
    if not members[0].key.is_strict:
        members = sorted(members, key=lambda member: likeness(member.order))
    state = torch.stack([member.sampler.latents for member in members])
    inputs = torch.stack([member.current.inputs[member.calls] for member in members])
    t, scale, guidance = inputs.unbind(1)
    x = state[:, 0] * scale[:, None, None, None]
    noise = _noise(members, model.at.device)  # on its way before the UNet keeps the device busy
    packed = pack(members, rows, x=x, t=t)
    output, features = _adapted(model, members, packed, compiled)
    m = guided(output, packed, guidance, members)
    new = _updated(members, state, m, noise)
    for i, member in enumerate(members):
        if member.repaint is not None:
            after = member.current.levels[member.calls + 1]
            new[i, 0] = member.repaint.blended(new[i, 0], after)
        if member.prediction_is_due:
            a, b = member.current.x0_coefficients(member.calls)
            member.predicted_x0 = a * x[i] + b * m[i]
    for member, latents, reusable in zip(members, new.unbind(0), features, strict=True):
        member.advance(latents, reusable)


def _adapted(
    model: LoadedModel,
    members: Sequence[Trajectory],
    packed: PackedRows,
    compiled: CompiledUNets | None,
) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
    """As `_call`, with what the images' adapters add to their rows."""
    key, rows = members[0].key, packed.inputs.rows
    orders = [member.order for member in members]
    uses = unet_uses(orders, packed.places, rows=rows, apart=key.is_strict)
    looks = _looks(members, packed)
    with padded(key.seamless):
        images = _controlled(members, packed)
        residuals = call_residuals(images, packed.inputs.tensors, apart=key.is_strict)
        features = call_features(images)
        # What a package computes was compiled without adapters.
        packages = None if uses or looks or residuals or features else compiled
        sites = model.unet_sites if uses or looks else {}
        own = with_residuals(model.unet, residuals, inside=features)
        with adapted(sites, uses, together=not key.is_strict), looking(sites, looks), own:
            return _call(model, members, packed, packages)


def _looks(members: Sequence[Trajectory], packed: PackedRows) -> list[list[Look]]:
    """What the rows of image prompts attend to besides."""
    looks = [
        Look(context, own, member.negative_rows)
        for member, own in zip(members, packed.places, strict=True)
        for context in member.contexts
    ]
    return together(looks, apart=members[0].key.is_strict)


def _call(
    model: LoadedModel,
    members: Sequence[Trajectory],
    packed: PackedRows,
    compiled: CompiledUNets | None,
) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
    """The UNet's output [rows, C, h, w], and of a full call what each image's next ones reuse."""
    key = members[0].key
    nothing: list[torch.Tensor | None] = [None] * len(members)
    if key.shallow:
        kept = [
            member.reuse.features[-member.rows :]
            for member in members
            if member.reuse.features is not None
        ]
        return shallow_call(model.unet, packed.inputs, joined(kept, packed.padding)), nothing
    if key.frames > 1:
        return eager_clips(model.motion, packed.inputs, key.frames), nothing
    if key.interval == 1:
        may_compile = not key.is_strict and key.seamless is Seamless.NONE
        return unet.call(model, packed.inputs, compiled if may_compile else None), nothing
    for member in members:
        member.reuse.anchor = member.resume_point()
    with kept_features(model.unet) as below:
        output = unet.call(model, packed.inputs)
    return output, [below[0][own.start : own.stop].clone() for own in packed.places]


def _controlled(members: Sequence[Trajectory], packed: PackedRows) -> list[ControlRows]:
    """The images' controls that count at this call, and their rows."""
    return [
        ControlRows(own, len(weights), member.current.controls_at(member.calls))
        for member, own, weights in zip(members, packed.places, packed.weights, strict=True)
    ]


def _updated(
    members: Sequence[Trajectory],
    state: torch.Tensor,
    m: torch.Tensor,
    noise: torch.Tensor | None,
) -> torch.Tensor:
    """The next state [images, 5, C, h, w]: each image's linear forms of state, output and noise.

    Products and sums of their own, each rounded as IEEE says: a matmul or a fused multiply-add
    would choose its order by the batch's shape, and neighbours would change a row's last bits.
    """
    update = torch.stack([member.current.updates[member.calls] for member in members])
    known = [*state.unbind(1), m]
    if noise is not None:
        known.append(noise)
    new = update[:, :, 0, None, None, None] * known[0][:, None]
    for j, tensor in enumerate(known[1:], start=1):
        new += update[:, :, j, None, None, None] * tensor[:, None]
    return new


def _noise(members: Sequence[Trajectory], device: torch.device) -> torch.Tensor | None:
    """Fresh noise [images, C, h, w], zeros for those that need none; None if none of them does."""
    drawn = [member.noise() for member in members]
    if all(noise is None for noise in drawn):
        return None
    none = torch.zeros(members[0].latent.shape)
    return sent(torch.stack([none if n is None else n for n in drawn]), device)
