"""Image prompts with all that an image may have besides: as a UNet that looks itself draws."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from latentry.contracts import Sampler
from latentry.errors import EngineError
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.adapters.conftest import Tailor
from tests.worker.engine.adapters.drawing import Worn, dressed
from tests.worker.engine.adapters.ip_adapter import pasted
from tests.worker.engine.adapters.ip_adapter.conftest import (
    Pasted,
    Paster,
    Prompt,
    picture,
    showing,
)
from tests.worker.engine.adapters.ip_adapter.showing import Shown, shown
from tests.worker.engine.adapters.test_with_everything import WAYS, with_canvas
from tests.worker.engine.conftest import serving
from tests.worker.engine.diffusion.test_edits import edit, edited
from tests.worker.engine.diffusion.test_from_pictures import photo
from tests.worker.engine.stock import Stock
from worker.engine.adapters.ip_adapter.rows import contexts
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.image_attention import Context, Look, looking, together
from worker.engine.loop import Engine, Order
from worker.engine.low_rank.sites import sites
from worker.engine.models.fuse import fuse_projections

pytestmark = stock.WARNINGS


@pytest.fixture(scope="module")
def eye(paster: Paster) -> Pasted:
    return paster(1)


@pytest.fixture(scope="module")
def gaze(paster: Paster) -> Pasted:
    return paster(2, "ip-adapter-plus")


@pytest.fixture(scope="module")
def backend(folders: dict[str, Path]) -> Diffusion:
    return serving({"epsilon": folders["epsilon"]})


class Definition:
    """An attention processor that says what one is; float64, of an image alone in its call."""

    def __init__(self, path: str, looked_at: tuple[Context, ...]) -> None:
        self.layers = [context.layers[path] for context in looked_at]

    def __call__(
        self, attn: Any, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, **_: Any
    ) -> torch.Tensor:
        rows = len(hidden_states)  # the first is the negative prompt's, if there are several
        q = self.heads(attn, attn.to_q(hidden_states))
        k, v = (self.heads(attn, to(encoder_hidden_states)) for to in (attn.to_k, attn.to_v))
        found = self.attended(q, k.double(), v.double())
        for keys, values in self.layers:
            sides = [int(rows == 1 or row > 0) for row in range(rows)]
            found = found + self.attended(q, keys[sides].double(), values[sides].double())
        merged = found.transpose(1, 2).flatten(2).to(hidden_states.dtype)
        return attn.to_out[0](merged)  # type: ignore[no-any-return]

    @staticmethod
    def heads(attn: Any, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # type: ignore[no-any-return]

    @staticmethod
    def attended(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        scores = q.double() @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        return scores.softmax(-1) @ v


@contextmanager
def by_definition(backend: Diffusion, order: Order) -> Iterator[None]:
    """The model of the backend looks at the order's pictures itself."""
    unet, looked_at = backend.models["epsilon"].unet, contexts(order)
    before = unet.attn_processors
    own = {
        name: Definition(name.removesuffix(".processor"), looked_at)
        for name in before
        if "attn2" in name
    }
    unet.set_attn_processor({**before, **own})
    try:
        yield
    finally:
        unet.set_attn_processor(before)


@pytest.mark.parametrize("way", WAYS)
def test_it_is_as_if_the_unet_looked_itself(
    backend: Diffusion, eye: Pasted, gaze: Pasted, way: str
) -> None:
    fields = {"num_inference_steps": 4, "guidance_scale": 2.0, "sampler": "euler"} | WAYS[way]
    order = with_canvas(tiny.order("job", model="epsilon", **fields))
    prompts = (Prompt(gaze, 1, 0.6), Prompt(gaze, 2, -0.3), Prompt(eye, 3, 0.5))
    ours = showing(backend.adapters, order, *prompts)
    latent = oracle.alone(Engine(backend), ours)
    with by_definition(backend, ours):
        expected = oracle.alone(Engine(backend), order)
    # A picture between two passes has 256 levels a channel: a rounding may choose the next one.
    assert stock.error(latent, expected) <= (4 if "pixels" in way else 1)
    assert stock.error(latent, oracle.alone(Engine(backend), order)) > 100


def test_queries_have_the_terms_of_loras(backend: Diffusion, eye: Pasted, tailor: Tailor) -> None:
    worn = [Worn(tailor(31), 0.7)]
    order = tiny.order("job", model="epsilon", guidance_scale=2.0)
    both = showing(backend.adapters, dressed(backend, order, worn), Prompt(eye, 1, 0.6))
    with by_definition(backend, both):
        expected = oracle.alone(Engine(backend), dressed(backend, order, worn))
    assert stock.error(oracle.alone(Engine(backend), both), expected) <= 1


@pytest.mark.parametrize("determinism", ["fast", "strict"])
def test_the_three_rows_of_an_edit_see_what_stock_s_see(tmp_path: Path, determinism: str) -> None:
    folder = tiny.make(tmp_path / "model", tiny.EPSILON, channels=8)
    backend = serving({"sd1-edit": folder})
    reference = Stock({"sd1-edit": folder}, {"sd1-edit": tiny.EPSILON})
    unet = reference.pipeline("sd1-edit").unet
    weights = pasted.ip_adapter(unet, pasted.KINDS["ip-adapter-plus"], 1)
    path = pasted.save(weights, tmp_path / "gaze.safetensors")
    encoder = pasted.image_encoder(tmp_path / "image_encoder")
    made = Pasted(path, backend.adapters.inspect(path).sha256, weights)
    plain = edit("plain", "sd1-edit", Sampler.EULER, determinism=determinism)
    worn = edit("worn", "sd1-edit", Sampler.EULER, determinism=determinism)
    worn = showing(backend.adapters, worn, Prompt(made, 2, 0.6))
    latents = oracle.in_a_crowd(Engine(backend), [plain, worn], random.Random(1))
    args = (reference, plain.request, plain.seed, photo(1))
    assert stock.error(latents["plain"], edited(*args)) <= 1
    with shown(reference.pipeline("sd1-edit"), encoder, [Shown(weights, [(picture(2), 0.6)])]):
        assert stock.error(latents["worn"], edited(*args)) <= 1
    assert stock.error(latents["worn"], latents["plain"]) > 100


def test_weight_0_is_absent_to_the_bit(backend: Diffusion, eye: Pasted) -> None:
    order = tiny.order("job", model="epsilon")
    absent = showing(backend.adapters, order, Prompt(eye, 1, 0.0))
    assert not absent.request.adapters
    assert torch.equal(oracle.alone(Engine(backend), absent), oracle.alone(Engine(backend), order))


def test_in_bfloat16_it_is_as_far_off_as_bfloat16_is(
    folders: dict[str, Path], backend: Diffusion, gaze: Pasted
) -> None:
    half = Diffusion(device="cpu", dtype="bfloat16", threads=1)
    half.load("epsilon", folders["epsilon"])
    order = tiny.order("job", model="epsilon", guidance_scale=2.0)

    def relative(*prompts: Prompt) -> float:
        exact = oracle.alone(Engine(backend), showing(backend.adapters, order, *prompts))
        rough = oracle.alone(Engine(half), showing(half.adapters, order, *prompts))
        return float((exact - rough).norm() / exact.norm())

    assert relative(Prompt(gaze, 1, 0.7)) < 3 * relative()


def test_joined_projections_look_alike(backend: Diffusion, eye: Pasted) -> None:
    """As on a GPU, where the keys and values of a prompt are one product."""
    unet = backend.models["epsilon"].unet
    fused = type(unet).from_config(unet.config)
    fused.load_state_dict(unet.state_dict())
    fuse_projections(fused.eval())
    x, t = torch.randn(3, 4, 8, 8), torch.tensor([10.0, 900.0, 500.0])
    hidden = torch.randn(3, 77, unet.config.cross_attention_dim)
    [context] = contexts(showing(backend.adapters, tiny.order(model="epsilon"), Prompt(eye)))
    looks = [Look(context, range(1), 0), Look(context, range(2, 3), 1)]
    outputs = []
    with torch.inference_mode():
        for network in (unet, fused):
            with looking(sites(network), together(looks, apart=False)):
                outputs.append(network(x, t, encoder_hidden_states=hidden).sample)
        plain = unet(x, t, encoder_hidden_states=hidden).sample
    assert torch.allclose(*outputs, atol=1e-5)
    changed = [not torch.equal(*rows) for rows in zip(outputs[0], plain, strict=True)]
    assert changed == [True, False, True]


def test_a_picture_is_encoded_once_for_all_jobs(
    folders: dict[str, Path], gaze: Pasted, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = serving({"epsilon": folders["epsilon"]})
    order = tiny.order("job", model="epsilon")

    def begun(*prompts: Prompt) -> Any:
        made = showing(backend.adapters, order, *prompts)
        return backend.begin(made, backend.plan(made))[0]

    one = begun(Prompt(gaze, 1, 0.5))
    [adapter] = one.order.adapters.values()
    asked: list[Any] = []
    network = adapter.encoder.network
    hook = network.register_forward_hook(lambda *_: asked.append(1))
    assert begun(Prompt(gaze, 1, 0.5)).contexts == one.contexts, "the images of a job share them"
    other = begun(Prompt(gaze, 1, 0.9))
    assert not asked
    assert other.contexts != one.contexts
    begun(Prompt(gaze, 1, 0.5), Prompt(gaze, 2, 0.5))
    assert len(asked) == 1
    hook.remove()


def test_no_compiled_call_has_a_row_with_image_prompts(
    compiling: tuple[Diffusion, list[int]], eye: Pasted
) -> None:
    backend, compiled = compiling
    order = tiny.order("plain", model="epsilon")
    plain, _ = backend.begin(order, backend.plan(order))
    worn, _ = backend.begin(showing(backend.adapters, order, Prompt(eye)), backend.plan(order))
    backend.advance([plain, worn], plain.rows + worn.rows)
    assert not compiled
    backend.advance([plain], plain.rows)
    assert len(compiled) == 1


def test_hooks_are_gone_after_a_call_that_failed(backend: Diffusion, eye: Pasted) -> None:
    order = showing(backend.adapters, tiny.order("job", model="epsilon"), Prompt(eye))
    trajectory, _ = backend.begin(order, backend.plan(order))
    trajectory.passes[0].conditioning.at(0).hidden.resize_(0)
    with pytest.raises(EngineError):
        backend.advance([trajectory], trajectory.rows)
    modules = list(backend.models["epsilon"].unet.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)


def test_runs_of_one_image_s_adapters_are_never_one_product() -> None:
    """Else the same rows would be added to twice at once."""
    places = (range(2), range(2), range(2, 3))
    looks = [Look(Context(4, {}), rows, len(rows) - 1) for rows in places]
    groups = together(looks, apart=False)
    assert [[look.rows for look in group] for group in groups] == [
        [range(2), range(2, 3)],
        [range(2)],
    ]
    assert {id(look) for group in groups for look in group} == set(map(id, looks))
    assert [len(group) for group in together(looks, apart=True)] == [1, 1, 1]
