"""Compiled UNets: taken up when they are ready, and never waited for."""

import dataclasses
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from structlog.testing import capture_logs

from latentry.errors import OutOfMemory
from tests.worker.engine import tiny
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine
from worker.engine.unet.call import call
from worker.engine.unet.compiled import CompiledUNets
from worker.engine.unet.compiler import Compiler
from worker.engine.unet.eager import eager as eager_call
from worker.engine.unet.inputs import UNetInputs
from worker.engine.unet.package import BareUNet
from worker.engine.unet.shape import Shape
from worker.engine.unet.slot import SlotState, WrongPackage, agrees

FAILS = (sys.executable, "-c", "raise SystemExit('no such header')")
WRITES = (sys.executable, "-c", "import sys, os; os.mkdir(sys.argv[2])")

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")


def hasty(folder: Path, compiler: Any = FAILS, **changed: Any) -> CompiledUNets:
    """One that compiles at the first call, and looks at every call."""
    return CompiledUNets(folder, compiler=compiler, **({"worth_calls": 1, "poll_s": 0.0} | changed))


def use(backend: Diffusion, packages: CompiledUNets) -> None:
    backend.compiled = packages
    backend.adopt("epsilon", dataclasses.replace(backend.models["epsilon"], compiled={}))


def draw(backend: Diffusion, **fields: object) -> np.ndarray:
    engine = Engine(backend)
    engine.submit(tiny.order(**fields))
    while not engine.idle:
        for event in engine.step():
            if isinstance(event, Done):
                return event.pixels
    raise AssertionError("no picture")


def compiled(packages: CompiledUNets) -> None:
    """Wait for the compiler, whatever comes of it."""
    packages.compiler.wait()


@pytest.fixture
def failing(tmp_path: Path) -> CompiledUNets:
    return hasty(tmp_path)


def shape_of(backend: Diffusion, **changed: Any) -> Shape:
    model = backend.models["epsilon"]
    size = {"height": 8, "width": 8, "tokens": 77, "added": {}} | changed
    return Shape.of(model.unet, model.at, **size)


def test_a_compiler_that_fails_is_not_tried_again_and_pictures_are_drawn_all_the_same(
    backend: Diffusion, failing: CompiledUNets
) -> None:
    eager = draw(backend)
    use(backend, failing)
    with capture_logs() as logs:
        for _ in range(3):
            assert np.array_equal(draw(backend), eager)
            compiled(failing)
    events = [log["event"] for log in logs]
    assert (events.count("compile.started"), events.count("compile.failed")) == (1, 1)
    assert [log["why"] for log in logs if "why" in log] == ["It ended with 1. no such header"]


@pytest.mark.parametrize("what", ["no folder", "no compiler"])
def test_a_compiler_that_cannot_be_started_is_logged_once_and_pictures_are_drawn_all_the_same(
    backend: Diffusion, tmp_path: Path, what: str
) -> None:
    eager = draw(backend)
    (tmp_path / "file").touch()
    packages = {
        "no folder": hasty(tmp_path / "file" / "compiled"),
        "no compiler": hasty(tmp_path, ["no-such-program"]),
    }[what]
    use(backend, packages)
    with capture_logs() as logs:
        for _ in range(2):
            assert np.array_equal(draw(backend), eager)
        backend.self_test("epsilon")
    assert [log["event"] for log in logs].count("compile.failed") == 1


def test_a_package_that_does_not_load_is_removed(backend: Diffusion, tmp_path: Path) -> None:
    eager = draw(backend)
    packages = hasty(tmp_path, WRITES)
    use(backend, packages)
    with capture_logs() as logs:
        for _ in range(3):
            assert np.array_equal(draw(backend), eager)
            compiled(packages)
    events = [log["event"] for log in logs]
    assert [events.count(f"compile.{e}") for e in ("started", "done", "unusable")] == [1, 1, 1]
    assert list(tmp_path.iterdir()) == []


class Loaded:
    """A package as torch hands it out, which answers with `call`."""

    def __init__(self, names: Iterable[str], call: Any) -> None:
        self.names, self.call, self.calls = list(names), call, 0

    def get_constant_fqns(self) -> list[str]:
        return self.names

    def load_constants(self, *_: Any, **__: Any) -> None:
        """All are welcome."""

    def __call__(self, *inputs: Any) -> torch.Tensor:
        self.calls += 1
        return self.call(*inputs)


def failing_call(*_: Any) -> torch.Tensor:
    raise RuntimeError("run_func_(...) API call failed")


def weights(backend: Diffusion) -> set[str]:
    return set(BareUNet(backend.models["epsilon"].unet).state_dict())


@pytest.fixture
def on_disk(backend: Diffusion, tmp_path: Path) -> Path:
    package = tmp_path / shape_of(backend).id
    package.mkdir()
    return package


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Callable[[Loaded], None]:
    """Whatever is on disk, torch finds this in it."""

    def instead(loaded: Loaded) -> None:
        monkeypatch.setattr("torch._C._aoti.AOTIModelPackageLoader", lambda *_: None)
        monkeypatch.setattr("torch.export.pt2_archive._package.AOTICompiledModel", lambda _: loaded)

    return instead


@pytest.mark.parametrize("what", ["another weight", "a weight of its own", "fails", "is wrong"])
def test_a_package_that_lacks_a_weight_or_fails_or_draws_something_else_is_removed(
    backend: Diffusion, on_disk: Path, loads: Callable[[Loaded], None], what: str
) -> None:
    def wrong(*inputs: Any) -> torch.Tensor:
        return eager_call(backend.models["epsilon"].unet, UNetInputs(*inputs)) + 0.01

    names = weights(backend)
    loaded = {
        "another weight": Loaded(names | {"of.no.weight"}, failing_call),
        "a weight of its own": Loaded(names - {"unet.conv_out.bias"}, failing_call),
        "fails": Loaded(names, failing_call),
        "is wrong": Loaded(names, wrong),
    }[what]
    eager = draw(backend)
    loads(loaded)
    use(backend, hasty(on_disk.parent))
    with capture_logs() as logs:
        for _ in range(2):
            assert np.array_equal(draw(backend), eager)
    assert [log["event"] for log in logs] == ["compile.unusable"]
    assert loaded.calls == (0 if "weight" in what else 1)
    assert not on_disk.exists()


def test_a_package_is_proved_by_the_rows_that_have_numbers_and_not_used_before(
    backend: Diffusion, on_disk: Path, loads: Callable[[Loaded], None]
) -> None:
    unet = backend.models["epsilon"].unet

    def nearly(*inputs: Any) -> torch.Tensor:
        return eager_call(unet, UNetInputs(*inputs)) * 1.0001

    loaded = Loaded(weights(backend), nearly)
    loads(loaded)
    use(backend, hasty(on_disk.parent))
    model = backend.models["epsilon"]
    x, width = torch.randn(2, 4, 8, 8), unet.config.cross_attention_dim
    others = torch.zeros(2), torch.zeros(2, 77, width), {}
    right = eager_call(unet, UNetInputs(x, *others))
    gone, half = x * math.nan, x * torch.tensor([math.nan, 1.0])[:, None, None, None]
    seen = []
    for rows in (gone, half, x):
        output = call(model, UNetInputs(rows, *others), backend.compiled)
        [slot] = model.compiled.values()
        seen.append((slot.state, bool(output[1].equal(right[1]))))
    assert seen == [
        (SlotState.LOADED, False),
        (SlotState.PROVED, True),
        (SlotState.PROVED, False),
    ]
    assert loaded.calls == 3


@pytest.mark.parametrize("told_by", ["the package", "the eager call after it"])
def test_a_package_that_leaves_the_device_unusable_is_not_there_at_the_next_start(
    backend: Diffusion,
    on_disk: Path,
    loads: Callable[[Loaded], None],
    monkeypatch: pytest.MonkeyPatch,
    told_by: str,
) -> None:
    def ends(*_: Any, **__: Any) -> torch.Tensor:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    loads(Loaded(weights(backend), ends if told_by == "the package" else failing_call))
    use(backend, hasty(on_disk.parent))
    order = tiny.order()
    member, _ = backend.begin(order, backend.plan(order))
    monkeypatch.setattr(backend.models["epsilon"].unet, "forward", ends)
    with pytest.raises(torch.AcceleratorError):
        backend.advance([member], 2)
    assert not on_disk.exists()


def test_a_proved_package_whose_call_fails_once_is_there_at_the_next_start(
    backend: Diffusion, on_disk: Path, loads: Callable[[Loaded], None]
) -> None:
    unet = backend.models["epsilon"].unet
    loaded = Loaded(weights(backend), lambda *inputs: eager_call(unet, UNetInputs(*inputs)))
    loads(loaded)
    use(backend, hasty(on_disk.parent))
    eager = draw(backend)
    loaded.call = failing_call
    assert np.array_equal(draw(backend), eager)
    calls = loaded.calls
    assert np.array_equal(draw(backend), eager)
    assert loaded.calls == calls
    assert on_disk.exists()


def test_a_folder_that_cannot_be_looked_into_costs_no_picture(
    backend: Diffusion, failing: CompiledUNets, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager = draw(backend)
    use(backend, failing)

    def stale(_: Path) -> bool:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(Path, "exists", stale)
    failing.queue.append(shape_of(backend, width=16))
    assert np.array_equal(draw(backend), eager)
    assert failing.queue == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_an_output_may_be_off_by_rounding_and_not_by_a_bias(dtype: torch.dtype) -> None:
    expected = torch.randn(4, 4, 16, 16).to(dtype)
    rounded = (expected.float() * (1 + torch.finfo(dtype).eps)).to(dtype)
    assert agrees(rounded, expected)
    with pytest.raises(WrongPackage, match="off by"):
        agrees(expected + 0.04, expected)


def test_a_package_is_not_blamed_for_what_the_eager_call_cannot_do_either(
    backend: Diffusion,
    on_disk: Path,
    loads: Callable[[Loaded], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = Loaded(weights(backend), failing_call)
    loads(loaded)
    use(backend, hasty(on_disk.parent))

    def unet(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    unet_of = backend.models["epsilon"].unet
    monkeypatch.setattr(unet_of, "forward", unet)
    order = tiny.order()
    member, _ = backend.begin(order, backend.plan(order))
    with pytest.raises(OutOfMemory):
        backend.advance([member], 2)
    assert loaded.calls == 1
    assert on_disk.exists()


def test_a_size_is_compiled_when_it_was_called_often_enough_and_only_so_many_are(
    backend: Diffusion, tmp_path: Path
) -> None:
    packages = hasty(tmp_path, worth_calls=12, most=2)
    use(backend, packages)
    events = []
    for width in (64, 64, 72, 72, 80, 80):  # of 10 calls each
        with capture_logs() as logs:
            draw(backend, width=width, num_inference_steps=10)
            compiled(packages)
        events.append([log["width"] for log in logs if log["event"] == "compile.started"])
    assert events == [[], [8], [], [9], [], []]


def test_a_package_is_looked_for_once_in_a_while_only(
    backend: Diffusion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    packages = hasty(tmp_path, poll_s=3600.0, worth_calls=1000)
    monkeypatch.setattr(packages, "package", lambda shape: looks.append(shape) or tmp_path / "no")
    use(backend, packages)
    draw(backend)
    draw(backend)
    assert len(looks) == 1


def test_a_package_is_for_its_machine_its_libraries_and_its_architecture_alone(
    backend: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renamed(**changed: Any) -> str:
        unet = backend.models["epsilon"].unet
        named = type("Unet", (), {"config": dict(unet.config) | changed})
        model = backend.models["epsilon"]
        return Shape.of(named, model.at, height=8, width=8, tokens=77, added={}).id

    known = shape_of(backend).id
    assert known == renamed(_name_or_path="elsewhere", _use_default_values=["dropout"])
    others = {renamed(norm_eps=1e-6), shape_of(backend, width=16).id}
    with monkeypatch.context() as patch:
        patch.setattr("diffusers.__version__", "0")
        others.add(shape_of(backend).id)
    with monkeypatch.context() as patch:
        patch.setattr("worker.engine.unet.shape.processor", lambda: "another processor")
        others.add(shape_of(backend).id)
    for name, value in {"_instructions": "others", "torch.get_num_threads": 1000}.items():
        with monkeypatch.context() as patch:
            patch.setattr(f"worker.engine.unet.shape.{name}", lambda value=value: value)
            others.add(shape_of(backend).id)
    others.add(dataclasses.replace(shape_of(backend), recipe=1).id)
    assert len(others - {known}) == 7


def test_what_the_compiler_has_started_ends_with_the_worker(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    code = f"""
import subprocess
from pathlib import Path
from worker.engine.unet import compile
def compiler(*_):
    subprocess.run("(echo there; sleep 600) > {tmp_path}/pipe", shell=True)
compile.compile_unet = compiler
compile.make(None, Path("{tmp_path}/package"))
"""
    # The worker: it starts the compiler, and stops it when it has begun.
    start = (
        "import os, signal, subprocess, sys\n"
        f"command = [sys.executable, '-c', {code!r}]\n"
        "child = subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)\n"
        "sys.stdin.read(); child.send_signal(signal.SIGSTOP); os.kill(os.getpid(), signal.SIGKILL)"
    )
    worker = subprocess.Popen([sys.executable, "-c", start], stdin=subprocess.PIPE)
    with (tmp_path / "pipe").open("rb") as pipe:
        assert pipe.readline() == b"there\n"
        assert list(tmp_path.glob("*.draft"))
        worker.communicate()
        assert pipe.read() == b""  # or this never returns
    assert worker.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == [tmp_path / "pipe"]


def test_what_a_killed_compiler_has_started_ends_with_it(
    tmp_path: Path, backend: Diffusion
) -> None:
    os.mkfifo(tmp_path / "pipe")
    compiler = Compiler(["sh", "-c", f"exec > {tmp_path}/pipe; echo there; sleep 600 & kill -9 $$"])
    compiler.start(shape_of(backend), tmp_path / "package")
    with (tmp_path / "pipe").open("rb") as pipe:
        assert pipe.readline() == b"there\n"
        assert pipe.read() == b""  # or this never returns
    assert "It ended with -9" in compiler.result()


def test_a_package_is_put_where_it_belongs_and_abandoned_drafts_go(tmp_path: Path) -> None:
    old, new = tmp_path / "a.draft", tmp_path / "b.draft"
    old.mkdir()
    new.mkdir()
    os.utime(old, (0, 0))
    code = f"""
import os, tempfile
from pathlib import Path
from worker.engine.unet import compile
def compiler(_, package):
    from torch._inductor.runtime.cache_dir_utils import cache_dir
    assert Path(os.environ["TMPDIR"]) == package.parent == Path(cache_dir())
    assert tempfile.gettempdir() == cache_dir()
    package.mkdir()
    (package / "it").touch()
compile.compile_unet = compiler
for _ in range(2):
    compile.make(None, Path("{tmp_path}/package"))
"""
    subprocess.run([sys.executable, "-c", code], stdin=(pipe := os.pipe())[0], check=True)
    for end in pipe:
        os.close(end)
    assert {path.name for path in tmp_path.iterdir()} == {"package", "b.draft"}
    assert (tmp_path / "package" / "it").exists()


def test_the_compiler_is_told_no_path_that_a_shell_would_split(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "data" \\ here'
    folder.mkdir()
    code = f"""
import os, re, tempfile
from pathlib import Path
from worker.engine.unet import compile
def compiler(_, package):
    assert re.fullmatch("[a-z0-9_/.-]+", str(package), re.IGNORECASE)
    assert os.environ["TMPDIR"] == str(package.parent)
    package.mkdir()
compile.compile_unet = compiler
compile.make(None, Path({str(folder)!r}) / "package")
"""
    pipe = os.pipe()
    subprocess.run([sys.executable, "-c", code], stdin=pipe[0], check=True)
    for end in pipe:
        os.close(end)
    assert list(folder.iterdir()) == [folder / "package"]


def test_a_size_that_another_worker_has_compiled_by_now_is_not_compiled(
    backend: Diffusion, failing: CompiledUNets
) -> None:
    use(backend, failing)
    failing.queue += [shape_of(backend), shape_of(backend, width=16)]
    failing.package(shape_of(backend)).mkdir(parents=True)
    failing.failed.add(shape_of(backend, width=16).id)  # nor is one that was given up
    with capture_logs() as logs:
        failing.continue_compiling()
    assert (logs, failing.queue) == ([], [])


def test_strict_calls_ask_for_no_package(backend: Diffusion, failing: CompiledUNets) -> None:
    use(backend, failing)
    with capture_logs() as logs:
        draw(backend, determinism="strict")
    assert logs == []


@pytest.mark.oracle  # the compiler takes half a minute
@needs_compiler
def test_a_compiled_call_draws_what_an_eager_one_does_and_serves_the_next_start(
    backend: Diffusion, tmp_path: Path
) -> None:
    eager = draw(backend).astype(int)
    first = CompiledUNets(tmp_path, worth_calls=1, poll_s=0.0)
    use(backend, first)
    draw(backend)
    compiled(first)
    for packages in (first, CompiledUNets(tmp_path)):  # which is there before it was worth it
        use(backend, packages)
        difference = np.abs(draw(backend).astype(int) - eager)
        assert difference.max() <= 4  # of a model whose random weights magnify the last bits
        assert difference.mean() < 0.05
        [(size, slot)] = backend.models["epsilon"].compiled.items()
        assert (size, slot.state) == ((8, 8, 77), SlotState.PROVED)
