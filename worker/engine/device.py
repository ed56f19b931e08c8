"""Where the engine computes, and in which precision."""

from dataclasses import dataclass
from typing import Final

import torch

from latentry.errors import ConfigurationError

_DTYPES: Final = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True, slots=True)
class Device:
    """A torch device with the precision and memory format its models are kept in."""

    device: torch.device
    dtype: torch.dtype
    memory_format: torch.memory_format

    @classmethod
    def choose(cls, device: str, dtype: str) -> "Device":
        """Resolve `auto`: CUDA where there is one, fp16 on it and fp32 on a CPU."""
        where = torch.device(
            ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        )
        if where.type == "cuda" and not torch.cuda.is_available():
            raise ConfigurationError(f"There is no usable CUDA device, but {device} is asked for.")
        on_cuda = where.type == "cuda"
        return cls(
            device=where,
            dtype=_DTYPES["float16" if on_cuda else "float32"]
            if dtype == "auto"
            else _DTYPES[dtype],
            # On a CPU too: with 6 to 8 rows oneDNN is a third faster so, with others no slower.
            memory_format=torch.channels_last,
        )
