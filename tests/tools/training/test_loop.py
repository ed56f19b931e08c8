"""The loop that all trainings share: resumable to the bit, whatever the optimiser."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from tools.training import checkpoints, loop
from tools.training.loop import Course, Optimisers, adamw, cosine, trapezoid
from tools.training.muon import muon_adamw

COURSE = Course("test", 9, trapezoid(2, 4), average=0.9, say_every=3, save_every=2)


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.GELU(), nn.Linear(5, 1))


def loss_of(network: nn.Module) -> Callable[[int], torch.Tensor]:
    def loss(number: int) -> torch.Tensor:
        inputs = torch.randn(8, 3)  # of the seed that the loop sets
        return (network(inputs) - inputs.sum(1, keepdim=True) - number / 1e6).square().mean()

    return loss


def trained(course: Course, optimisers: Callable[[nn.Module], Optimisers]) -> nn.Module:
    network = model()
    loop.train(course, network, optimisers(network), loss_of(network))
    return network


@pytest.mark.parametrize(
    "optimisers", [lambda m: adamw(m, 1e-2), lambda m: muon_adamw(m, 1e-2, 2e-2)]
)
@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_stopped_training_ends_as_one_that_was_not(
    optimisers: Callable[[nn.Module], Optimisers], stop: int
) -> None:
    whole = trained(COURSE, optimisers).state_dict()
    average = checkpoints.require("test")["average"]
    (checkpoints.RUNS / "test.pt").unlink()

    class Stopped(Exception):
        pass

    network = model()
    until = loss_of(network)

    def stopped(number: int) -> torch.Tensor:
        if number == stop:
            raise Stopped
        return until(number)

    with pytest.raises(Stopped):
        loop.train(COURSE, network, optimisers(network), stopped)
    again = trained(COURSE, optimisers).state_dict()
    assert all(torch.equal(again[name], value) for name, value in whole.items())
    resumed = checkpoints.require("test")["average"]
    assert all(torch.equal(resumed[name], value) for name, value in average.items())


def test_it_learns_and_the_average_lags_behind() -> None:
    before = loss_of(model())(0).item()
    course = replace(COURSE, steps=200, say_every=1000, save_every=1000)
    after = trained(course, lambda m: adamw(m, 3e-2))
    assert loss_of(after)(0).item() < 0.5 * before
    average = checkpoints.require("test")["average"]
    assert any(not torch.equal(average[name], w) for name, w in after.state_dict().items())


def test_without_an_average_the_weights_themselves_are_kept() -> None:
    after = trained(replace(COURSE, average=0.0), lambda m: adamw(m, 1e-2))
    average = checkpoints.require("test")["average"]
    assert all(torch.equal(average[name], w) for name, w in after.state_dict().items())


def test_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    trained(COURSE, lambda m: adamw(m, 1e-2))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split('"step": ')[1].split(",")[0] for line in lines] == ["3", "6", "9"]
    assert all('"of": 9' in line and '"loss"' in line for line in lines)


def test_rates_warm_up_and_fall() -> None:
    share = trapezoid(2, 4)
    assert [share(step, 9) for step in range(9)] == [0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    assert cosine(0, 1000) == pytest.approx(0.01)
    assert cosine(999, 1000) == pytest.approx(0.02, abs=1e-4)
