import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.architectures import SD15, SDXL, shrunk
from benchmarks.real_size import model
from benchmarks.real_size.figures import Figures, largest_descendant, peak_gb
from benchmarks.real_size.report import real_size
from worker.engine.models.sources.sources import blueprint_from_source


def test_medians_are_told_by_contender_and_what_was_not_measured_is_left_empty() -> None:
    stock = [
        Figures("stock", "sd15", "bfloat16", "folder", imports_s=5, loaded_s=s, first_s=10)
        for s in (3.0, 9.0, 4.0)
    ]
    cpp = Figures("sd.cpp", "sd15", "float16", "file", first_s=80)
    run = {"at": "today", "machine": "here", "starts": [asdict(one) for one in (*stock, cpp)]}
    lines = [line for line in real_size(run) if line.startswith("| sd15")]
    assert [cell.strip() for cell in lines[0].split("|")[2:7]] == ["5.0", "4.0", "10.0", "", ""]
    assert lines[0].split("|")[7].strip() == "19.0", "from the start to the first picture"
    assert lines[1].split("|")[3].strip() == ""


def test_a_service_counts_its_imports_once() -> None:
    figures = Figures("latentry", "sd15", "bfloat16", "folder", 5.0, 12.0, 20.0)
    assert figures.to_first_s == 32.0
    assert math.isnan(figures.peak_gb)


@pytest.mark.parametrize(("size", "configs"), [("sd15", SD15), ("sdxl", SDXL)])
def test_folder_and_file_are_the_same_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str, configs: dict
) -> None:
    monkeypatch.setattr(model, "SIZES", {size: shrunk(configs)})
    folder, file = model.folder_of(size, tmp_path), model.file_of(size, tmp_path)
    one, other = (blueprint_from_source("m", at, prefer_fp16=False) for at in (folder, file))
    assert one.size_bytes(torch.float16) == other.size_bytes(torch.float16)


def test_the_largest_process_of_a_family_is_found() -> None:
    large = "x = b'x' * (200 * 2**20); print(1, flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {large!r}])"
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    found = largest_descendant(process.pid)
    assert found != process.pid
    assert 0.2 < peak_gb(found) < 0.4
    process.communicate(b"\n")
    assert process.returncode == 0
