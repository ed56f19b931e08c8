"""Terms of many adapters at once, of parts of other modules, of networks that come and go."""

from pathlib import Path

import pytest
import torch

from latentry.low_memory import LowMemory
from tests.worker.engine import oracle, tiny
from tests.worker.engine.adapters.conftest import Tailor
from tests.worker.engine.adapters.drawing import Worn, dressed
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine
from worker.engine.low_rank import together
from worker.engine.low_rank.rows import adapted
from worker.engine.low_rank.sites import sites
from worker.engine.low_rank.term import LowRank
from worker.engine.low_rank.use import Use
from worker.engine.models.fuse import fuse_projections

# Each adapter: its rank, and its rows of five; none for all. 40 and 64 are one product, 3 another.
CROWDS: dict[str, list[tuple[int, tuple[range, ...]]]] = {
    "a row each, all rows": [(4, (range(1),)), (32, (range(1, 3),)), (8, (range(3, 5),))],
    "rows without": [(4, (range(1, 2),)), (9, (range(3, 4),))],
    "several in a row": [(4, (range(3),)), (8, (range(1, 5),)), (16, (range(1, 2),))],
    "one for all": [(4, ()), (8, (range(2, 3),))],
    "ranks far apart": [(3, (range(2),)), (40, (range(1, 3),)), (64, (range(4, 5),)), (5, ())],
}


@pytest.fixture(params=["runs", "batches"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How fast calls add terms: as on a CPU, and as on a GPU."""
    monkeypatch.setattr(together, "is_cheap_to_call", lambda _: request.param == "runs")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("crowd", CROWDS)
@pytest.mark.parametrize("axes", [2, 3])
def test_together_or_apart_rows_get_the_same_terms(crowd: str, axes: int) -> None:
    chance = torch.Generator().manual_seed(1)
    module = torch.nn.Linear(12, 20)
    uses = []
    for rank, rows in CROWDS[crowd]:
        down, up = (torch.randn(*shape, generator=chance) for shape in ((rank, 12), (20, rank)))
        weights = torch.rand(sum(map(len, rows)) or 5, generator=chance).tolist()
        uses.append(Use({"at": LowRank(down, up, 1 / rank)}, weights, rows))
    x = torch.randn(5, *[7] * (axes - 2), 12, generator=chance)
    outputs = []
    with torch.inference_mode():
        for is_together in (False, True):
            with adapted(sites(torch.nn.ModuleDict({"at": module})), uses, together=is_together):
                outputs.append(module(x))
    assert torch.allclose(*outputs, atol=1e-5)
    assert not torch.allclose(outputs[0], module(x), atol=1e-2)


@pytest.mark.usefixtures("way")
def test_what_is_not_finite_stays_in_its_rows() -> None:
    module = torch.nn.Linear(4, 4)
    up = torch.ones(4, 2)
    layers = [LowRank(torch.full((2, 4), size), up, 1.0) for size in (torch.inf, 1.0)]
    rows = [(range(1),), (range(1, 2),)]
    uses = [Use({"at": one}, [1.0], own) for one, own in zip(layers, rows, strict=True)]
    network = sites(torch.nn.ModuleDict({"at": module}))
    with torch.inference_mode(), adapted(network, uses, together=True):
        first, second, third = module(torch.ones(3, 4))
    assert not first.isfinite().any()
    assert second.isfinite().all()
    assert third.isfinite().all()


@pytest.mark.usefixtures("way")
def test_joined_projections_take_the_terms_of_the_single_ones(
    loaded: Diffusion, tailor: Tailor
) -> None:
    """As on a GPU, where queries, keys and values are one product."""
    made = tailor(21)
    [adapter] = loaded.adapters.load("epsilon", {made.sha256: made.path}).values()
    unet = loaded.models["epsilon"].unet
    fused = type(unet).from_config(unet.config)
    fused.load_state_dict(unet.state_dict())
    fuse_projections(fused.eval())
    x, t = torch.randn(3, 4, 8, 8), torch.tensor([10.0, 900.0, 500.0])
    hidden = torch.randn(3, 77, unet.config.cross_attention_dim)
    use = Use(adapter.unet, [0.5, -0.7], (range(1), range(2, 3)))
    other = Use(adapter.unet, [0.2], (range(1),))
    outputs = []
    with torch.inference_mode():
        for network in (unet, fused):
            for is_together in (False, True):
                with adapted(sites(network), [use, other], together=is_together):
                    outputs.append(network(x, t, encoder_hidden_states=hidden).sample)
        plain = unet(x, t, encoder_hidden_states=hidden).sample
    assert all(torch.allclose(outputs[0], one, atol=1e-5) for one in outputs[1:])
    changed = [not torch.equal(*rows) for rows in zip(outputs[0], plain, strict=True)]
    assert changed == [True, False, True]


def test_text_encoders_that_leave_take_the_same_terms(
    folders: dict[str, Path], tailor: Tailor
) -> None:
    made = tailor(22, networks=("text_encoder",))
    latents = []
    for ways in (frozenset(), frozenset({LowMemory.TEXT_ENCODERS})):
        backend = Diffusion(device="cpu", dtype="float32", threads=1, low_memory=ways)
        backend.load("epsilon", folders["epsilon"])
        order = tiny.order("job", model="epsilon", prompt="a cat " * 50)
        plain = oracle.alone(Engine(backend), order)
        worn = oracle.alone(Engine(backend), dressed(backend, order, [Worn(made)]))
        assert not torch.equal(plain, worn)
        latents.append(worn)
    assert torch.equal(*latents)
