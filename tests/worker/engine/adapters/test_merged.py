"""What fast calls do instead of each adapter's terms: the same values, no row's but its own."""

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import pytest
import torch

from latentry.contracts import Seamless
from tests.worker.engine import tiny
from tests.worker.engine.adapters.conftest import Tailor
from tests.worker.engine.adapters.drawing import Worn, dressed
from worker.engine.diffusion.denoise import denoise
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.low_rank import merge, together
from worker.engine.low_rank.merge import Term
from worker.engine.low_rank.rows import adapted
from worker.engine.low_rank.sites import sites
from worker.engine.low_rank.term import LowRank
from worker.engine.low_rank.use import Use
from worker.engine.seamless import padded

CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "3 x 3": {"kernel_size": 3, "padding": 1},
    "3 x 3, every other": {"kernel_size": 3, "padding": 1, "stride": 2},
    "1 x 1": {"kernel_size": 1},
    "1 x 1, every other": {"kernel_size": 1, "stride": 2},
}
SOME = [([0.3] * 3, (range(3),)), ([-0.6, 0.2], (range(2, 3), range(3, 4)))]
ALL = [([0.3] * 5, ()), ([-0.6] * 5, (range(5),))]


@pytest.fixture
def merged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For each layer whose weights are merged, how many terms it has."""
    found: list[int] = []

    def watched(module: Any, terms: Sequence[Term], x: torch.Tensor) -> torch.Tensor:
        found.append(len(terms))
        return merge.merged(module, terms, x)

    monkeypatch.setattr(together, "merged", watched)
    return found


def outputs(module: Any, uses: Sequence[Use], x: torch.Tensor) -> list[torch.Tensor]:
    """Of a layer alone: apart, and together."""
    network = sites(torch.nn.ModuleDict({"at": module}))
    found = []
    with torch.inference_mode():
        for is_together in (False, True):
            with adapted(network, uses, together=is_together):
                found.append(module(x))
    return found


@pytest.mark.parametrize("rows", [SOME, ALL])
@pytest.mark.parametrize("seamless", [Seamless.NONE, Seamless.BOTH])
@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("tucker", [False, True])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions_have_the_same_values(
    merged: list[int],
    kind: str,
    tucker: bool,
    memory: torch.memory_format,
    seamless: Seamless,
    rows: Any,
) -> None:
    module = torch.nn.Conv2d(8, 12, **CONVOLUTIONS[kind]).to(memory_format=memory)
    size = module.kernel_size
    uses = []
    for rank, (weights, own) in zip((3, 5), rows, strict=True):
        down = torch.randn(rank, 8, *((1, 1) if tucker else size))
        mid = torch.randn(rank, rank, *size) if tucker else None
        layer = LowRank(down, torch.randn(12, rank, 1, 1), 1 / rank, mid)
        uses.append(Use({"at": layer}, weights, own))
    x = torch.randn(5, 8, 16, 16).to(memory_format=memory)
    with padded(seamless) if seamless is not Seamless.NONE else nullcontext():
        apart, one = outputs(module, uses, x)
        plain = module(x)
    assert merged == ([2] if rows is ALL else [])
    assert torch.allclose(apart, one, atol=1e-4)
    assert not torch.allclose(apart, plain, atol=1e-2)


def test_what_is_not_finite_is_merged_by_its_own_call_alone(merged: list[int]) -> None:
    module = torch.nn.Linear(4, 4)
    bomb = {"at": LowRank(torch.full((2, 4), torch.inf), torch.ones(4, 2), 1.0)}
    x = torch.ones(2, 64, 4)
    _, spoilt = outputs(module, [Use(bomb, [1.0, 1.0])], x)
    assert merged
    assert not spoilt.isfinite().any()
    merged.clear()
    _, (spoilt, sound) = outputs(module, [Use(bomb, [1.0], (range(1),))], x)
    assert not merged
    assert not spoilt.isfinite().any()
    assert torch.equal(sound, module(x)[1])


@pytest.mark.parametrize("rows", [(range(1),), (range(3),)])
@pytest.mark.parametrize("kind", [*CONVOLUTIONS, "linear"])
def test_a_small_scale_keeps_large_numbers_within_half_precision(kind: str, rows: Any) -> None:
    """As with alpha 1 of a high rank: up · down overflows, the term does not."""
    if kind == "linear":
        module: Any = torch.nn.Linear(8, 8)
        x, down, up = torch.ones(3, 64, 8), torch.full((1, 8), 50.0), torch.full((8, 1), 400.0)
    else:
        module = torch.nn.Conv2d(8, 8, **CONVOLUTIONS[kind])
        x, up = torch.ones(3, 8, 8, 8), torch.full((8, 1, 1, 1), 400.0)
        down = torch.full((1, 8, *module.kernel_size), 50.0)
    layer = LowRank(down.half(), up.half(), 1 / 1024)
    use = Use({"at": layer}, [1.0] * len(rows[0]), rows)
    apart, one = outputs(module.half(), [use], x.half())
    assert apart.isfinite().all()
    assert torch.allclose(apart, one, rtol=1e-2)


@pytest.mark.parametrize("weights", [[1.0, 0.5], [1.0, 1.0]])
def test_only_rows_of_equal_weights_are_merged(merged: list[int], weights: list[float]) -> None:
    module = torch.nn.Linear(8, 8)
    use = Use({"at": LowRank(torch.randn(2, 8), torch.randn(8, 2), 1.0)}, weights)
    assert torch.allclose(*outputs(module, [use], torch.randn(2, 64, 8)), atol=1e-5)
    assert bool(merged) == (weights == [1.0, 1.0])


def test_few_positions_are_cheaper_as_terms(merged: list[int]) -> None:
    module = torch.nn.Linear(64, 64)
    use = Use({"at": LowRank(torch.randn(2, 64), torch.randn(64, 2), 1.0)}, [1.0, 1.0])
    outputs(module, [use], torch.randn(2, 4, 64))
    assert not merged
    outputs(module, [use], torch.randn(2, 256, 64))
    assert merged


@pytest.mark.parametrize("is_set", [False, True])
def test_a_module_is_as_it_was_after_a_call_that_fails(is_set: bool) -> None:
    module = torch.nn.Linear(4, 4)
    if is_set:  # as libraries that move weights around do
        module.forward = module.forward
    before = dict(vars(module))
    use = Use({"at": LowRank(torch.ones(1, 4), torch.ones(4, 1), 1.0)}, [1.0])
    network = sites(torch.nn.ModuleDict({"at": module}))
    with pytest.raises(RuntimeError), adapted(network, [use], together=True):
        module(torch.ones(1, 3))
    assert vars(module) == before


def test_images_with_equal_loras_are_neighbours_in_fast_calls(
    loaded: Diffusion, tailor: Tailor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However they came; one with another weight, or with more of them, is not alike."""
    loras = [tailor(31), tailor(32, convolutions=True)]
    both = [Worn(one) for one in loras]
    closet = [[], [both[0]], [both[1]], [Worn(loras[0], 0.5)], both]
    members = []
    for number in range(10):
        order = dressed(loaded, tiny.order(f"job-{number}", model="epsilon"), closet[number % 5])
        members.append(loaded.begin(order, loaded.plan(order))[0])
    runs = []

    def watched(uses: Sequence[Use], rows: int) -> Any:
        runs.append(alike(uses, rows))
        return runs[-1]

    alike = together._alike
    monkeypatch.setattr(together, "_alike", watched)
    denoise(members[0].model, members, sum(one.rows for one in members))
    [found] = runs
    assert [len(rows) for rows, _ in found] == [2 * members[0].rows] * 5
    assert all(one[0].stop == other[0].start for one, other in pairwise(found))
    assert found[0][1] == []  # rows without
