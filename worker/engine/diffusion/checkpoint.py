"""A trajectory as bytes and back: all that another worker needs to finish the picture.

The bytes are a safetensors file. Reading one runs no code, and whatever is not exactly a checkpoint
of this picture is refused: the picture then starts from the beginning, which is never wrong.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import structlog
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from worker.engine.diffusion.trajectory import Trajectory

log = structlog.get_logger()

Tensors: TypeAlias = dict[str, npt.NDArray[Any]]
Facts: TypeAlias = dict[str, str]

_FORMAT: Final = "latentry checkpoint 2"


class _Unusable(ValueError):
    """Why bytes are not a checkpoint of this trajectory."""


def save(trajectory: Trajectory, profile: str) -> bytes:
    """Everything the next call depends on, under this profile id. Waits for the device.

    Memory that the sampler does not use is zero, and zeros are left out.
    """
    anchor = trajectory.resume_point()
    state = anchor.state.cpu().numpy()
    tensors: Tensors = {f"state.{j}": row for j, row in enumerate(state) if j == 0 or row.any()}
    tensors["generator"] = anchor.source.numpy()
    if anchor.drawn is not None:  # its call has not succeeded so far
        tensors["drawn"] = anchor.drawn.numpy()
    if anchor.predicted_x0 is not None and trajectory.order.request.intermediates:
        tensors["predicted"] = anchor.predicted_x0.cpu().numpy()  # perhaps not stored so far
    facts = {
        "format": _FORMAT,
        "picture": _picture(trajectory),
        "profile": profile,
        "pass": str(trajectory.pass_index),
        "calls": str(anchor.call),
    }
    saved: bytes = save_tensors(tensors, facts | {"digest": _digest(facts, tensors)})
    return saved


def resume(trajectory: Trajectory, checkpoint: bytes, profile: str) -> bool:
    """Move a new trajectory to where the checkpoint was taken; if False, it is unchanged.

    In strict mode the profile must be the one it was taken under.
    """
    try:
        facts, tensors = _read(checkpoint)
        _compare(facts, trajectory, profile)
        _restore(trajectory, facts, tensors)
    except _Unusable as why:
        order = trajectory.order
        log.warning("checkpoint.ignored", job=order.job, index=order.index, why=str(why))
        return False
    return True


def _read(checkpoint: bytes) -> tuple[Facts, Tensors]:
    try:
        tensors = load_tensors(checkpoint)
        length = int.from_bytes(checkpoint[:8], "little")
        facts: Facts = json.loads(checkpoint[8 : 8 + length])["__metadata__"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise _Unusable("not a safetensors file with metadata") from error
    if facts.get("format") != _FORMAT:
        raise _Unusable("another format")
    if facts.pop("digest", None) != _digest(facts, tensors):
        raise _Unusable("damaged")
    return facts, tensors


def _compare(facts: Mapping[str, str], trajectory: Trajectory, profile: str) -> None:
    if facts["picture"] != _picture(trajectory):
        raise _Unusable("another picture")
    if trajectory.key.is_strict and facts["profile"] != profile:
        raise _Unusable("another profile")


def _restore(trajectory: Trajectory, facts: Facts, tensors: Tensors) -> None:
    pass_index, calls = int(facts["pass"]), int(facts["calls"])
    current = trajectory.passes[pass_index]
    if not 0 <= calls <= current.calls:
        raise _Unusable("before the first call or after the last")
    sampler = trajectory.sampler
    rows, channels = sampler.latents.shape[:2]
    latents = torch.zeros(rows, channels, current.key.height, current.key.width)
    for j in range(rows):
        if (row := tensors.get(f"state.{j}")) is not None:
            latents[j] = torch.from_numpy(row)
    drawn, predicted = tensors.get("drawn"), tensors.get("predicted")
    sampler.source.restore(torch.from_numpy(tensors["generator"]))
    sampler.latents = latents.to(sampler.latents.device)
    sampler.drawn = None if drawn is None else torch.from_numpy(drawn)
    if predicted is not None:
        trajectory.predicted_x0 = torch.from_numpy(predicted).to(sampler.latents.device)
    trajectory.move_to(pass_index, calls)


def _picture(trajectory: Trajectory) -> str:
    """A hash of all that decides the picture: request, seed, coefficients and weights."""
    if not trajectory.picture:
        trajectory.picture = _hash(trajectory)
    return trajectory.picture


def _hash(trajectory: Trajectory) -> str:
    order, found = trajectory.order, hashlib.sha256()
    for fact in (order.pixel_fields(), *trajectory.fingerprints):
        found.update(json.dumps(fact, sort_keys=True).encode())
    for one in trajectory.passes:
        for table in (one.inputs, one.updates):
            found.update(table.cpu().numpy().tobytes())
    return found.hexdigest()


def _digest(facts: Facts, tensors: Tensors) -> str:
    found = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tensor.shape} ".encode())
        found.update(np.ascontiguousarray(tensor).data)
    return found.hexdigest()
