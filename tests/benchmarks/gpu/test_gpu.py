import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.__main__ import costs
from benchmarks.gpu.report import gpu
from benchmarks.gpu.timing import fit
from benchmarks.simulate import read_costs

# A GPU machine has torch, diffusers and transformers, and none of these.
WITHOUT = """
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.argv = ["benchmarks.gpu", *{arguments}]
runpy.run_module("benchmarks.gpu", run_name="__main__")
"""
ABSENT = {"fastapi", "uvicorn", "celery", "kombu", "redis", "obstore", "httpx", "litserve"}


@pytest.mark.slow
def test_the_whole_script_runs_without_a_gpu_and_without_the_service(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    arguments = ["--dry-run", "--seconds", "0.2", "--only", "sdxl", "sd15, 4 steps"]
    arguments += ["--skip", "compiled", "package", "--out", str(out)]
    code = WITHOUT.format(absent=ABSENT, arguments=arguments)
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=280)
    run = json.loads(out.read_text())
    sdxl, few = run["measured"]["sdxl"], run["measured"]["sd15, 4 steps"]
    for part in ("eager", "vae", "vae_fp32", "determinism", "policies"):
        assert sdxl[part], part
        assert "failed" not in sdxl[part], sdxl[part]
    assert sdxl["determinism"]["strict_picture_same_in_a_crowd"] is True
    assert sdxl["graphs"] == {}  # there are none on a CPU
    assert few["policies"]["step-level"] > 0
    assert "eager" not in few
    assert any("step-level" in line for line in gpu(run))
    if len(sdxl["eager"]) > 1:  # on a very slow machine the time was over before
        assert "sdxl eager" in read_costs(out)


def test_a_line_through_measured_calls_gives_back_what_they_cost() -> None:
    assert fit({n: 0.01 + 0.002 * n for n in (1, 2, 8, 32)}) == pytest.approx((0.01, 0.002))
    assert fit({1: 0.02, 2: 0.01}) == (pytest.approx(0.015), 0.0)


def test_what_failed_or_was_skipped_is_left_out_of_the_table_of_costs() -> None:
    measured = {
        "good": {"side": 512, "eager": {"1": 0.03, "2": 0.05}, "vae": {"1": 0.1, "4": 0.2}},
        "broken": {"side": 512, "eager": {"failed": "no"}, "vae": {"1": 0.1}},
        "short": {"side": 512, "eager": {"1": 0.03}, "vae": {"1": 0.1}},
        "blind": {"side": 512, "eager": {"1": 0.03, "2": 0.05}},
    }
    table = costs(measured)
    assert list(table) == ["good eager"]
    assert table["good eager"] == pytest.approx(
        {"call_s": 0.01, "row_s": 0.02, "side": 512, "picture_s": 0.05}
    )


def test_tables_of_a_gpu_run_leave_empty_what_was_not_measured() -> None:
    run = {
        "device": "a GPU", "torch": "2", "matmul_tflops": 100.0,
        "measured": {
            "sd15": {
                "dtype": "float16", "side": 512, "unet_tflop_per_row": 0.8,
                "eager": {"2": 0.02, "8": 0.04}, "graphs": {"failed": "no"},
                "package": {"2": 0.016},
            }
        },
    }  # fmt: skip
    text = "\n".join(gpu(run))
    assert "20.0 (80, 80 %)" in text
    assert "40.0 (160, 160 %)" in text
    assert "graphs" not in text
    assert "compiled" not in text
    [package] = [line for line in gpu(run) if "package" in line]
    assert package.rstrip("| ").endswith("16.0 (100, 100 %)")
