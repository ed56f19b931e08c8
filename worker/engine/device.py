"""Where the engine computes, and in which dtype and memory format."""

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import torch

from latentry.errors import ConfigurationError
from latentry.low_memory import LowMemory

_DTYPES: Final = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# Entries of /proc/cpuinfo on x86, and on Arm, whose torch names no vector instructions.
_CPUINFO: Final = (
    *("vendor_id", "cpu family", "model"),
    *("CPU implementer", "CPU variant", "CPU part", "Features"),
)


@dataclass(frozen=True, slots=True)
class Device:
    """A torch device, with the dtype and memory format in which models are kept on it.

    low_memory: how memory is saved on it.
    """

    device: torch.device
    dtype: torch.dtype
    memory_format: torch.memory_format
    low_memory: frozenset[LowMemory] = frozenset()

    @property
    def identity(self) -> str:
        """Device, precision and software, by which calls take as long as they take."""
        name, threads = platform.processor() or platform.machine(), torch.get_num_threads()
        if self.device.type == "cuda":
            name, threads = torch.cuda.get_device_name(self.device), 1
        return f"{name} x{threads} {self.dtype} {self.memory_format} torch {torch.__version__}"

    @property
    def prefers_fp16(self) -> bool:
        """Whether weights that are stored in half precision suit it."""
        return self.dtype is torch.float16

    @classmethod
    def choose(
        cls, device: str, dtype: str, low_memory: frozenset[LowMemory] = frozenset()
    ) -> "Device":
        """Resolve `auto`: CUDA if there is one, with float16; on a CPU what it multiplies fastest.

        Raises ConfigurationError for a device that does not exist, and for ways to save memory
        that it does not have.
        """
        where = _found(device)
        if LowMemory.OFFLOAD in low_memory and where.type != "cuda":
            raise ConfigurationError(
                "LATENTRY_LOW_MEMORY=offload is for CUDA: elsewhere there is no other memory."
            )
        return cls(
            device=where,
            low_memory=low_memory,
            dtype=_DTYPES[_fastest_dtype(where) if dtype == "auto" else dtype],
            # On a CPU too: oneDNN is a third faster with 6 to 8 rows, and with others no slower.
            memory_format=torch.channels_last,
        )


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The same on the device, not waited for: only a copy from pinned memory is asynchronous."""
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def _found(device: str) -> torch.device:
    """The device of this name. Raises ConfigurationError if there is none."""
    where = torch.device(
        ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    )
    if where.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigurationError("The device mps is not available: it is a Mac's GPU.")
    if where.type != "cuda":
        return where
    if not torch.cuda.is_available():
        raise ConfigurationError(
            f"The device {device} is not available: there is no usable CUDA device."
        )
    # With its index, because it becomes torch's current device, where events are recorded.
    where = torch.device("cuda", where.index or 0)
    if where.index >= (count := torch.cuda.device_count()):
        raise ConfigurationError(
            f"The device {device} is not available: there are only {count} CUDA devices, "
            "from cuda:0."
        )
    return where


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for it, and torch uses them.

    AVX512_BF16, AMX, or Arm's BF16. oneDNN alone is no answer on x86, where it supports bfloat16 on
    every AVX-512 CPU: without such instructions by widening it, slower than float32.
    """
    # Macs' builds of torch have no oneDNN, and may not have its operators.
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    asked = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    if asked is None or not asked():  # on Arm it asks the CPU
        return False
    is_arm = platform.machine().lower() in ("aarch64", "arm64")
    return is_arm or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _fastest_dtype(device: torch.device) -> str:
    """What `auto` means on a device (docs/decisions/0026)."""
    if device.type != "cpu":
        return "float16"
    return "bfloat16" if multiplies_bfloat16() else "float32"


@cache
def processor() -> str:
    """The CPU, by what its kernels are chosen by: vendor, model and vector instructions."""
    return " ".join([platform.machine(), *_named(), torch.backends.cpu.get_cpu_capability()])


def _named(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """What Linux says of the first CPU's vendor and model; on Arm also its instructions."""
    lines = cpuinfo.read_text().split("\n\n")[0].splitlines() if cpuinfo.exists() else []
    facts = (line.partition(":") for line in lines)
    return [value.strip() for name, _, value in facts if name.strip() in _CPUINFO]


@cache
def accelerator(device: torch.device) -> str:
    """A GPU, and what drives it: CUDA and cuDNN, or on a Mac the operating system."""
    if device.type == "mps":
        return f"{platform.machine()} macOS {platform.mac_ver()[0]}"
    name = torch.cuda.get_device_name(device)
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return f"{name} CUDA {torch.version.cuda} cuDNN {cudnn}"
