"""A model before its weights are read: what it can do, what it costs, and how to build it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
import torch
from torch import nn

from latentry.contracts import ModelCard
from latentry.errors import ConfigurationError
from worker.engine.device import Device
from worker.engine.models.weights import StoredTensor
from worker.engine.samplers.schedule import NoiseSchedule

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Part:
    """One network of a model: how to make it without weights, and where those lie.

    One that `overflows` makes numbers beyond fp16's largest, and stays in fp32 there.
    """

    name: str
    make: Callable[[], nn.Module]
    weights: Mapping[str, StoredTensor]
    overflows: bool = False

    def precision(self, dtype: torch.dtype) -> torch.dtype:
        """What it is kept in, in a model of this precision."""
        return torch.float32 if self.overflows and dtype is torch.float16 else dtype

    def size_bytes(self, dtype: torch.dtype) -> int:
        """What it takes in memory in a model of this precision."""
        count = sum(stored.entry.count for stored in self.weights.values())
        return count * self.precision(dtype).itemsize

    def read(self) -> nn.Module:
        """The network with its weights as the file has them. Raises ConfigurationError.

        It is made on torch's meta device: random numbers that are overwritten at once would cost
        SD 1.5 half a minute. `from_pretrained` changes torch's defaults for the whole process
        while it loads, which would reach into the step loop of the thread beside it.
        """
        with torch.device("meta"):
            module = self.make()
        fitted = _fitted(self.weights, module.state_dict().keys())
        _check(self.name, fitted, module)
        if len(fitted) < len(self.weights):
            unused = len(self.weights) - len(fitted)
            log.warning("model.weights_unused", part=self.name, count=unused)
        state = {name: stored.read() for name, stored in fitted.items()}
        module.load_state_dict(state, assign=True)
        for name, buffer in module.named_buffers():
            if buffer.is_meta:
                _make_buffer(module, name, buffer)
        return module.eval().requires_grad_(False)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Everything about a model but its weights.

    `zeros_for_empty`: SDXL's force_zeros_for_empty_prompt, for an empty negative prompt.
    """

    card: ModelCard
    schedule: NoiseSchedule
    parts: Mapping[str, Part]
    tokenizers: Mapping[str, Callable[[], Any]]
    strict_rows: int = 8
    zeros_for_empty: bool = True

    @property
    def is_xl(self) -> bool:
        """Whether it is an SDXL, with two text encoders and size conditioning."""
        return "text_encoder_2" in self.parts

    def size_bytes(self, dtype: torch.dtype) -> int:
        """What the weights take in memory in this precision."""
        return sum(part.size_bytes(dtype) for part in self.parts.values())


def settle(module: nn.Module, at: Device) -> Iterator[None]:
    """Move a network to its device, precision and memory format, one tensor at each `next`.

    Whole numbers, as CLIP's positions, stay whole. Converting is computing: on a CPU it belongs to
    the compute thread.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        # The device first: converting on the way there would compute on the CPU.
        moved = tensor.data.to(at.device)
        if moved.is_floating_point():
            moved = moved.to(at.dtype)
        if moved.ndim == 4:
            moved = moved.contiguous(memory_format=at.memory_format)
        tensor.data = moved
        yield


def _fitted(weights: Mapping[str, StoredTensor], expected: Any) -> dict[str, StoredTensor]:
    """The weights under the names that the module has for them, and no others."""
    found: dict[str, StoredTensor] = {}
    for name, stored in weights.items():
        for spelling in _spellings(name):
            if spelling in expected:
                found[spelling] = stored
                break
    return found


# How older files call what newer versions of the libraries renamed.
_RENAMED = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def _spellings(name: str) -> Iterator[str]:
    yield name
    yield name.removeprefix("text_model.")
    yield f"text_model.{name}"
    path, _, kind = name.rpartition(".")
    block, _, part = path.rpartition(".")
    if part in _RENAMED:
        yield f"{block}.{_RENAMED[part]}.{kind}"


def _check(part: str, fitted: Mapping[str, StoredTensor], module: nn.Module) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    if missing := sorted(wanted.keys() - fitted.keys()):
        raise ConfigurationError(
            f"The weights of the {part} lack {len(missing)} tensors, {missing[0]} for one."
        )
    for name, stored in fitted.items():
        if stored.shape != wanted[name]:
            raise ConfigurationError(
                f"The {part}'s {name} has shape {list(stored.shape)} in the file, "
                f"but its config makes it {list(wanted[name])}."
            )


def _make_buffer(module: nn.Module, name: str, buffer: torch.Tensor) -> None:
    """What no file holds and meta has no values for: CLIP counts its positions."""
    owner, _, leaf = name.rpartition(".")
    if leaf != "position_ids":
        raise ConfigurationError(f"A network with a buffer {name} is not supported.")
    positions = torch.arange(buffer.shape[-1])[None]
    module.get_submodule(owner).register_buffer(leaf, positions, persistent=False)
