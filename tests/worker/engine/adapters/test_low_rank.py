"""Terms of layers that are parts of other modules, or of networks that come and go."""

from pathlib import Path

import torch

from latentry.low_memory import LowMemory
from tests.worker.engine import oracle, tiny
from tests.worker.engine.adapters.conftest import Tailor
from tests.worker.engine.adapters.drawing import Worn, dressed
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine
from worker.engine.low_rank import Use, adapted, sites
from worker.engine.models.fuse import fuse_projections


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
    use = Use(adapter.unet, torch.tensor([0.5, -0.7]), (range(1), range(2, 3)))
    outputs = []
    with torch.inference_mode():
        for network in (unet, fused):
            with adapted(sites(network), [use]):
                outputs.append(network(x, t, encoder_hidden_states=hidden).sample)
        plain = unet(x, t, encoder_hidden_states=hidden).sample
    assert torch.allclose(*outputs, atol=1e-5)
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
