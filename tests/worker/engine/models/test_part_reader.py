"""Weights get from their files to the device without a second copy of the model."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from latentry.errors import ConfigurationError
from worker.engine.device import Device
from worker.engine.models.loading import part_reader
from worker.engine.models.loading.part_reader import PartReader
from worker.engine.models.part import Part
from worker.engine.models.weights import stored_in

LAYERS, ROWS, COLUMNS = 24, 2048, 2048

READING = f"""
import sys
from pathlib import Path
from torch import nn
from worker.engine.device import Device
from worker.engine.models.loading.part_reader import PartReader
from worker.engine.models.part import Part
from worker.engine.models.weights import stored_in

def bytes_of(field):
    [line] = [line for line in open("/proc/self/status") if line.startswith(field)]
    return int(line.split()[1]) * 1024

def make():
    return nn.Sequential(*(nn.Linear({COLUMNS}, {ROWS}, bias=False) for _ in range({LAYERS})))

weights, _ = stored_in(Path(sys.argv[1]))
at = Device.choose("cpu", "bfloat16")
reader = PartReader({{"unet": Part("unet", make, weights)}}, at, threads=2)
Path("/proc/self/clear_refs").write_text("5")  # the largest size so far is forgotten
before = bytes_of("VmRSS")
module = reader.read("unet")
print(bytes_of("VmHWM") - before)
"""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_memory_holds_a_model_once_whatever_its_files_have(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    weight = torch.ones(ROWS, COLUMNS, dtype=dtype)
    save_file({f"{n}.weight": weight.clone() for n in range(LAYERS)}, tmp_path / "x.safetensors")
    command = [sys.executable, "-c", READING, str(tmp_path / "x.safetensors")]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    resident = LAYERS * ROWS * COLUMNS * torch.bfloat16.itemsize
    assert resident <= int(ended.stdout) < 1.15 * resident


def test_what_is_read_does_not_depend_on_how_many_threads_read_it(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    save_file({f"{n}.weight": torch.randn(n + 1, 300) for n in range(20)}, file)
    at = Device.choose("cpu", "bfloat16")
    found = []
    for threads in (1, 4):
        part = Part("unet", _twenty_layers, stored_in(file)[0])
        reader = PartReader({"unet": part}, at, threads=threads)
        found.append((reader.read("unet").state_dict(), reader.digests))
    (one, digests), (other, others) = found
    assert digests == others
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_part_is_made_while_those_before_it_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.safetensors"
    save_file({"weight": torch.ones(2, 3)}, file)
    made = threading.Event()

    def second() -> torch.nn.Module:
        made.set()
        return torch.nn.Linear(3, 2, bias=False)

    def read(*given: Any) -> Any:
        assert made.wait(30), "it is made later"
        return reads(*given)

    reads = part_reader._read
    monkeypatch.setattr(part_reader, "_read", read)
    weights = stored_in(file)[0]
    first = Part("vae", lambda: torch.nn.Linear(3, 2, bias=False), weights)
    parts = {"vae": first, "unet": Part("unet", second, weights)}
    found = PartReader(parts, Device.choose("cpu", "float32"), threads=1).read_all(parts)
    assert all(torch.equal(one.weight, torch.ones(2, 3)) for one in found.values())


def test_nothing_more_is_read_once_a_part_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.safetensors"
    save_file({f"{n}.weight": torch.ones(n + 1, 300) for n in range(20)}, file)
    refused, seen = threading.Event(), []

    def refuse() -> torch.nn.Module:
        raise ConfigurationError("another network")

    def read(*given: Any) -> Any:
        seen.append(given)
        assert refused.wait(30)
        return reads(*given)

    def shut_down(pool: ThreadPoolExecutor, **options: Any) -> None:
        shuts_down(pool, wait=False, **options)
        refused.set()
        shuts_down(pool)

    reads, shuts_down = part_reader._read, ThreadPoolExecutor.shutdown
    monkeypatch.setattr(part_reader, "_read", read)
    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", shut_down)
    weights = stored_in(file)[0]
    parts = {"vae": Part("vae", _twenty_layers, weights), "unet": Part("unet", refuse, weights)}
    with pytest.raises(ConfigurationError, match="another network"):
        PartReader(parts, Device.choose("cpu", "float32"), threads=1).read_all(parts)
    assert len(seen) <= 1


def _twenty_layers() -> torch.nn.Module:
    return torch.nn.ModuleList(torch.nn.Linear(300, n + 1, bias=False) for n in range(20))
