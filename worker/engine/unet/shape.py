"""For which calls, and on which machine, a UNet is compiled."""

import json
import platform
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

import diffusers
import torch

from worker.engine.device import Device, accelerator, processor

MAX_ROWS: Final = 63  # torch wants a dynamic dimension below 2^6 here
RECIPE: Final = 2  # the version of compile_unet: packages made by another one are not used


@dataclass(frozen=True, slots=True)
class Shape:
    """All that a package depends on. `config` is the UNet's; sizes are the latent's, in cells.

    `added`: the widths of SDXL's conditions. `machine`: a package is code for this processor, and
    divides its work among this many `threads` (0 on a GPU).
    """

    config: dict[str, Any]
    height: int
    width: int
    tokens: int
    added: dict[str, int]
    device: str
    dtype: str
    machine: str
    threads: int
    torch: str
    diffusers: str
    recipe: int = RECIPE

    @classmethod
    def of(
        cls, unet: Any, at: Device, *, height: int, width: int, tokens: int, added: dict[str, int]
    ) -> Self:
        """The shape of this UNet's calls at this size, on this machine."""
        machine = " ".join([processor(), _instructions(), *platform.libc_ver()])
        threads = torch.get_num_threads()
        if at.device.type == "cuda":
            threads = 0
            machine += f" {accelerator(at.device)} {torch.cuda.get_device_capability(at.device)}"
        return cls(
            # Fields with an underscore record where the config came from, in a random order.
            config={name: v for name, v in unet.config.items() if not name.startswith("_")},
            height=height,
            width=width,
            tokens=tokens,
            added=added,
            device=str(at.device),
            dtype=str(at.dtype).removeprefix("torch."),
            machine=machine,
            threads=threads,
            torch=torch.__version__,
            diffusers=diffusers.__version__,
        )

    @property
    def id(self) -> str:
        """The name of its package."""
        text = json.dumps(asdict(self), sort_keys=True, default=str)
        return sha256(text.encode()).hexdigest()[:20]


@cache
def _instructions() -> str:
    """A digest of the processor's instruction sets: the compiler uses all of them."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return sha256(flags.encode()).hexdigest()[:8]
