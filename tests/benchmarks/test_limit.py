"""The table of single changes to a UNet call."""

import torch

from benchmarks.contenders.stock import SHAPES
from benchmarks.limit import ROWS, changes, measure
from worker.engine.diffusion.diffusion import Diffusion


def test_every_change_draws_the_same_call(monkeypatch) -> None:
    backend = Diffusion(device="cpu", dtype="float32")
    backend.load("shapes", SHAPES)
    stack = backend.models["shapes"]
    # Compiling takes a minute; test_packages.py does it.
    monkeypatch.setattr("benchmarks.limit.package", lambda stack, _added: lambda x, *_: x)
    threads = torch.get_num_threads()
    with torch.inference_mode():
        shapes = {name: call(3).shape for name, call in changes(stack).items()}
    assert set(shapes.values()) == {(3, *stack.latent_shape(128, 128))}
    assert torch.get_num_threads() == threads


def test_all_take_turns_at_all_rows() -> None:
    called: list[tuple[str, int]] = []
    calls = {name: lambda rows, name=name: called.append((name, rows)) for name in ("a", "b")}
    found = measure(calls, rounds=2)
    assert called == 3 * [(name, rows) for rows in ROWS for name in ("a", "b")]
    assert {name: tuple(each) for name, each in found.items()} == {"a": ROWS, "b": ROWS}
