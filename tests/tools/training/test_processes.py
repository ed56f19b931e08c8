"""A training in two processes learns from both of their batches."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from tools.training import checkpoints, loop
from tools.training.loop import Course, adamw
from tools.training.muon import muon_adamw
from tools.training.processes import spread

TARGETS = (1.0, 5.0)  # of even and odd batches: each process has one of them alone


def work(optimiser: str) -> None:
    torch.manual_seed(0)
    network = nn.Linear(2, 2, bias=True)
    nn.init.zeros_(network.bias)
    made = adamw(network, 0.05) if optimiser == "adamw" else muon_adamw(network, 0.05, 0.05)
    course = Course("both", 150, lambda step, total: 1 - step / total)

    def loss_of(number: int) -> torch.Tensor:
        return (network(torch.zeros(1, 2)) - TARGETS[number % 2]).square().mean()

    loop.train(course, network, made, loss_of)


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_gradients_are_averaged(
    optimiser: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoints, "RUNS", Path(".latentry/train"))
    checkpoints.RUNS.mkdir(parents=True)
    spread("both", 2, partial(work, optimiser))
    bias = checkpoints.require("both")["model"]["bias"]
    torch.testing.assert_close(bias, torch.full((2,), 3.0), atol=0.1, rtol=0)
