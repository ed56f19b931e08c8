"""One network of a model: how it is made, and how the weights in its files fit it."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import torch
from torch import nn

from latentry.errors import ConfigurationError
from worker.engine.file_state import file_state
from worker.engine.models.weights import StoredTensor, read_in_order

ReadAll: TypeAlias = Callable[[Mapping[str, StoredTensor]], Mapping[str, torch.Tensor]]

# How older files call what newer versions of the libraries renamed.
_RENAMED: Final = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@dataclass(frozen=True, slots=True)
class Part:
    """One network of a model: how to make it without weights, and where those are stored.

    `force_upcast`, as diffusers calls it: its activations exceed fp16's largest number, so in an
    fp16 model it is kept in fp32.
    """

    name: str
    make: Callable[[], nn.Module]
    weights: Mapping[str, StoredTensor]
    force_upcast: bool = False

    @property
    def identity(self) -> str:
        """Its config, its weights' names and shapes, and the state of their files on disk."""
        found = hashlib.sha256(repr(getattr(self.make, "args", ())).encode())
        for name, stored in sorted(self.weights.items()):
            found.update(f"{name} {stored.shape} ".encode())
        for file in sorted({stored.file for stored in self.weights.values()}):
            found.update(f"{file} {file_state(file.stat())} ".encode())
        return f"{self.name} {found.hexdigest()}"

    def dtype_in(self, model: torch.dtype) -> torch.dtype:
        """The dtype of its weights in a model of this dtype."""
        return torch.float32 if self.force_upcast and model is torch.float16 else model

    def size_bytes(self, model: torch.dtype) -> int:
        """Bytes of its weights in memory, in a model of this dtype."""
        count = sum(stored.info.count for stored in self.weights.values())
        return count * self.dtype_in(model).itemsize

    def read(self, read_all: ReadAll = read_in_order) -> nn.Module:
        """The network with its weights as `read_all` brings them. Raises ConfigurationError.

        It is made on torch's meta device: random numbers that are overwritten at once would cost
        SD 1.5 half a minute. `from_pretrained` changes torch's defaults for the whole process
        while it loads, which would reach into the step loop of the thread beside it.
        """
        module, fitted = self.fitted()
        return self.filled(module, read_all(fitted))

    def filled(self, module: nn.Module, weights: Mapping[str, torch.Tensor]) -> nn.Module:
        """A network that `fitted` made, with its weights. Raises ConfigurationError."""
        module.load_state_dict(weights, assign=True)
        for name, buffer in module.named_buffers():
            if buffer.is_meta:
                _make_buffer(module, name, buffer)
        return module.eval().requires_grad_(False)

    def fitted(self) -> tuple[nn.Module, Mapping[str, StoredTensor]]:
        """The network without weights, and those that it will have, by its own names for them.

        Raises ConfigurationError unless each weight has a place of its shape, and each place one.
        """
        with torch.device("meta"):
            module = self.make()
        fitted = _fitted(self.weights, module.state_dict().keys())
        _check(self.name, fitted, module)
        _refuse_unused(self.name, self.weights, fitted)
        return module, fitted


def _fitted(weights: Mapping[str, StoredTensor], expected: Any) -> dict[str, StoredTensor]:
    """The weights under the names that the module has for them, and no others."""
    found: dict[str, StoredTensor] = {}
    for name, stored in weights.items():
        for spelling in _spellings(name):
            if spelling in expected:
                found[spelling] = stored
                break
    return found


def _spellings(name: str) -> Iterator[str]:
    """The names under which versions of the libraries keep one weight."""
    yield name
    yield name.removeprefix("text_model.")
    yield f"text_model.{name}"
    path, _, kind = name.rpartition(".")
    block, _, part = path.rpartition(".")
    if part in _RENAMED:
        yield f"{block}.{_RENAMED[part]}.{kind}"


def _check(part: str, fitted: Mapping[str, StoredTensor], module: nn.Module) -> None:
    """Raise ConfigurationError unless there is a weight of the right shape for every tensor."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    if missing := sorted(wanted.keys() - fitted.keys()):
        raise ConfigurationError(
            f"The weights of the {part} lack {len(missing)} tensors, for example {missing[0]}."
        )
    for name, stored in fitted.items():
        if stored.shape != wanted[name]:
            raise ConfigurationError(
                f"The {part}'s {name} has shape {list(stored.shape)} in the file, "
                f"but its config makes it {list(wanted[name])}."
            )


def _refuse_unused(
    part: str, weights: Mapping[str, StoredTensor], fitted: Mapping[str, StoredTensor]
) -> None:
    """Raise ConfigurationError for weights that the network has no place for: pictures need them.

    What no picture depends on was left out before.
    """
    used = set(map(id, fitted.values()))
    if unused := sorted(name for name, stored in weights.items() if id(stored) not in used):
        raise ConfigurationError(
            f"The {part} has {len(unused)} weights that its network does not use, for example "
            f"{unused[0]}: it is another network than its config or its layout says."
        )


def _make_buffer(module: nn.Module, name: str, buffer: torch.Tensor) -> None:
    """Fill a buffer that no file holds and that meta left without values: CLIP's position ids."""
    owner, _, leaf = name.rpartition(".")
    if leaf != "position_ids":
        raise ConfigurationError(f"A network with a buffer {name} is not supported.")
    positions = torch.arange(buffer.shape[-1])[None]
    module.get_submodule(owner).register_buffer(leaf, positions, persistent=False)
