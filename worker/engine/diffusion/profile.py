"""What strict mode's bits depend on, apart from the request and its seed."""

import hashlib
import json
import platform
import zlib
from dataclasses import asdict, dataclass
from functools import cache
from typing import Final, Self

import diffusers
import numpy
import PIL
import torch
import transformers

from latentry.low_memory import LowMemory
from latentry.version import __version__
from worker.engine.device import Device, accelerator, processor
from worker.engine.diffusion.trajectory import Trajectory

_ID_LETTERS: Final = 16  # 64 bits: profiles are few


@dataclass(frozen=True, slots=True)
class Profile:
    """The configuration, the software and the kind of device; nothing that was measured.

    Under equal profiles the same request and seed give the same pixels; under others they may
    differ.
    """

    model: str
    rows: int
    dtype: str
    memory_format: str
    threads: int
    device: str
    torch: str
    diffusers: str
    transformers: str
    numpy: str
    libc: str
    files: str
    vae: str
    latentry: str
    execution: str = "eager"
    pictures_per_decode: int = 1
    prompts_per_encode: int = 1
    adapters: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: str, at: Device, *, rows: int, adapters: tuple[str, ...] = ()) -> Self:
        """The profile of a model, by its fingerprint, on a device with calls of so many rows.

        `adapters`: the SHA-256 of those that change the image.
        """
        on_cpu = at.device.type == "cpu"
        return cls(
            model=model,
            rows=rows,
            dtype=str(at.dtype),
            memory_format=str(at.memory_format),
            threads=torch.get_num_threads() if on_cpu else 1,
            device=processor() if on_cpu else accelerator(at.device),
            torch=torch.__version__,
            diffusers=diffusers.__version__,
            transformers=transformers.__version__,
            numpy=numpy.__version__,
            libc=_libc(),
            vae="tiles" if LowMemory.VAE_TILES in at.low_memory else "whole",
            files=f"zlib {zlib.ZLIB_RUNTIME_VERSION} Pillow {PIL.__version__}",
            latentry=__version__,
            adapters=adapters,
            execution="eager, unfused" if LowMemory.OFFLOAD in at.low_memory else "eager",
        )

    @property
    def id(self) -> str:
        """Short and stable: equal for equal profiles, in every process."""
        facts = asdict(self)
        if not self.adapters:  # as before there were any
            del facts["adapters"]
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_ID_LETTERS]


def profile_of(member: Trajectory, at: Device) -> str | None:
    """The id of the profile of a strict picture on this device; None in fast mode."""
    if not member.key.is_strict:
        return None
    order = member.order
    beside = order.towards.request.adapters if order.towards else ()
    adapters = tuple(dict.fromkeys((*order.request.adapters, *beside)))
    fingerprint, rows = " ".join(member.fingerprints), member.passes[0].key.bucket
    return Profile.of(fingerprint, at, rows=rows, adapters=adapters).id


@cache
def _libc() -> str:
    """The C library: the sampler tables are made of its logarithms and powers."""
    return " ".join(platform.libc_ver())
