"""VAEs of requests: what each file decodes and encodes, and that nothing else changes."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image

from latentry.contracts import AdapterKind, Vae
from latentry.errors import AdapterUnusable
from tests import modes
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.adapters import vaes
from tests.worker.engine.adapters.test_with_everything import WAYS, with_canvas
from tests.worker.engine.conftest import serving
from tests.worker.engine.stock import Stock
from worker.engine.adapters.file import AdapterFile
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop import Engine, Order

pytestmark = stock.WARNINGS

FAMILIES = ("sd1-epsilon", "sd2-epsilon", "sdxl-epsilon")
LAYOUTS: dict[str, Callable[[Path, Any], Path]] = {
    "folder": lambda path, vae: vaes.write_folder(path / "glass", vae),
    "diffusers' names": lambda path, vae: vaes.write(
        path / "glass.safetensors", dict(vae.state_dict())
    ),
    "CompVis's names": lambda path, vae: vaes.write(
        path / "glass.safetensors", vaes.as_published(vae)
    ),
    "taken out of a checkpoint": lambda path, vae: vaes.write(
        path / "glass.safetensors", vaes.as_published(vae, "first_stage_model.")
    ),
    "with what it was trained with": lambda path, vae: vaes.write(
        path / "glass.safetensors",
        vaes.as_published(vae) | {"loss.logvar": torch.zeros(1), "model_ema.decay": torch.ones(1)},
    ),
}


def own_vae(folder: Path) -> Any:
    return AutoencoderKL.from_pretrained(folder / "vae", low_cpu_mem_usage=False)


def through(backend: Diffusion, order: Order, path: Path) -> Order:
    """The order with the VAE at this path, loaded as a worker loads it."""
    sha256 = AdapterFile.read(path).sha256
    vae = Vae(id=path.stem, sha256=sha256)
    request = order.request.model_copy(update={"vae": vae})
    loaded = backend.adapters.load(request.model, {sha256: path})
    return replace(order, request=request, adapters={**order.adapters, **loaded})


def drawn(engine: Engine, *orders: Order) -> dict[str, Any]:
    for order in orders:
        engine.submit(order)
    return tiny.pixels(tiny.drain(engine))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("model", FAMILIES)
def test_it_decodes_as_the_stock_pipeline_with_that_vae(
    every_model: Diffusion,
    every_folder: dict[str, Path],
    reference: Stock,
    tmp_path: Path,
    model: str,
    layout: str,
) -> None:
    glass = vaes.kin(own_vae(every_folder[model]))
    path = LAYOUTS[layout](tmp_path, glass)
    order = tiny.order("job", model=model)
    found = every_model.adapters.inspect(path)
    assert (found.kind, found.networks, found.reason) == (AdapterKind.VAE, ("vae",), None)
    assert model in found.models
    ours = drawn(Engine(every_model), through(every_model, order, path))["job"]
    latent = reference.draw(order.request.model_dump_json(), order.seed)
    pipeline = reference.pipeline(model)
    own, pipeline.vae = pipeline.vae, glass
    try:
        theirs = reference.pixels(model, latent)
    finally:
        pipeline.vae = own
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    plain = drawn(Engine(every_model), order)["job"]
    assert np.abs(ours.astype(int) - plain).max() > 8


@pytest.fixture(scope="module")
def glass(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE akin to that of the model `epsilon`."""
    vae = vaes.kin(own_vae(folders["epsilon"]))
    return vaes.write(tmp_path_factory.mktemp("vaes") / "glass.safetensors", vaes.as_published(vae))


@pytest.fixture(scope="module")
def both(
    folders: dict[str, Path], glass: Path, tmp_path_factory: pytest.TempPathFactory
) -> Diffusion:
    """The model, and the same with the VAE in its folder."""
    glazed = tmp_path_factory.mktemp("glazed") / "model"
    shutil.copytree(folders["epsilon"], glazed)
    vaes.kin(own_vae(folders["epsilon"])).save_pretrained(glazed / "vae")
    return serving({"epsilon": folders["epsilon"], "glazed": glazed})


@pytest.mark.parametrize("way", WAYS)
def test_whatever_an_image_has_it_is_as_if_the_model_had_that_vae(
    both: Diffusion, glass: Path, way: str
) -> None:
    fields = {"num_inference_steps": 4, "guidance_scale": 2.0, "sampler": "euler"} | WAYS[way]
    order = through(both, with_canvas(tiny.order("job", model="epsilon", **fields)), glass)
    as_own = with_canvas(tiny.order("own", model="glazed", **fields))
    found = drawn(Engine(both), order) | drawn(Engine(both), as_own)
    assert np.array_equal(found["job"], found["own"])


@pytest.mark.parametrize("mode", ["image", "mask"])
def test_pictures_are_encoded_as_by_stock_with_that_vae(
    every_model: Diffusion,
    every_folder: dict[str, Path],
    reference: Stock,
    tmp_path: Path,
    mode: str,
) -> None:
    model = "sd1-epsilon"
    vae = vaes.kin(own_vae(every_folder[model]))
    path = vaes.write_folder(tmp_path / "glass", vae)
    brings = ("image", "mask")[: 1 + (mode == "mask")]
    fields = modes.Mode({"strength": 0.6}, brings).as_resolved(1)
    order = tiny.order("job", model=model, sampler="euler", num_inference_steps=6, **fields)
    order = replace(order, canvas=Canvas.of(order.request, modes.pictures(1)))
    latent = oracle.alone(Engine(every_model), through(every_model, order, path))
    brought = {name: Image.fromarray(one) for name, one in modes.pictures(1).items()}
    mask = brought["mask"].convert("L") if mode == "mask" else None
    pipeline = reference.pipeline(model)
    own, pipeline.vae = pipeline.vae, vae
    try:
        theirs = reference.redraw(order.request, order.seed, brought["image"], mask)
    finally:
        pipeline.vae = own
    assert stock.error(latent, theirs) <= 1
    assert stock.error(latent, oracle.alone(Engine(every_model), order)) > 100


def test_rows_with_different_vaes_share_each_call_and_no_bit_changes(
    both: Diffusion, folders: dict[str, Path], glass: Path, tmp_path: Path
) -> None:
    clear = vaes.write_folder(tmp_path / "clear", vaes.kin(own_vae(folders["epsilon"]), seed=9))
    strict = {"determinism": "strict", "num_inference_steps": 4}
    orders = [
        tiny.order("plain", model="epsilon", seed=1, **strict),
        through(both, tiny.order("glass", model="epsilon", seed=2, **strict), glass),
        through(both, tiny.order("clear", model="epsilon", seed=3, **strict), clear),
        through(both, tiny.order("again", model="epsilon", seed=4, **strict), glass),
    ]
    engine, rows = Engine(both), []
    advance = both.advance
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            both, "advance", lambda of, count: (rows.append(len(of)), advance(of, count))[1]
        )
        together = drawn(engine, *orders)
    assert rows == [4, 4, 4, 4], "four images in each of four calls"
    for order in orders:
        alone = drawn(Engine(both), order)[order.job]
        assert np.array_equal(together[order.job], alone)


def test_images_of_one_vae_are_decoded_together(both: Diffusion, glass: Path) -> None:
    orders = [tiny.order(f"{n}", model="epsilon", seed=n) for n in range(8)]
    orders[1::2] = [through(both, order, glass) for order in orders[1::2]]
    decoded: list[set[Any]] = []
    decode = both.decode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            both,
            "decode",
            lambda of: (decoded.append({one.order.vae for one in of}), decode(of))[1],
        )
        assert len(drawn(Engine(both), *orders)) == 8
    assert all(len(kinds) == 1 for kinds in decoded)
    assert len(decoded) < 8, "some were decoded together"


def test_its_hash_is_in_profile_and_checkpoint(both: Diffusion, glass: Path) -> None:
    plain = tiny.order("job", model="epsilon", determinism="strict")
    other = through(both, plain, glass)
    members = [both.begin(order, both.plan(order))[0] for order in (plain, other)]
    assert both.profile(members[0]) != both.profile(members[1])
    assert plain.pixel_fields() != other.pixel_fields()
    both.advance(members[1:], 8)
    saved = both.save(members[1])
    resumed, _ = both.begin(replace(other, checkpoint=saved), both.plan(other))
    assert resumed.step == 1
    refused, _ = both.begin(replace(plain, checkpoint=saved), both.plan(plain))
    assert refused.step == 0


def test_its_memory_is_that_of_adapters(
    folders: dict[str, Path], glass: Path, tmp_path: Path
) -> None:
    backend = Diffusion(device="cpu", dtype="float32", threads=1, adapter_memory_bytes=2**22)
    backend.load("epsilon", folders["epsilon"])
    order = through(backend, tiny.order("job", model="epsilon"), glass)
    [loaded] = order.adapters.values()
    parameters = sum(one.numel() * 4 for one in loaded.network.parameters())  # type: ignore[attr-defined]
    assert backend.adapters.bank.used_bytes == parameters


@pytest.mark.parametrize("ways", [{"low_memory": frozenset({"vae_tiles"})}, {"dtype": "float16"}])
def test_it_is_kept_as_the_models_own(
    folders: dict[str, Path], glass: Path, ways: dict[str, Any]
) -> None:
    backend = Diffusion(device="cpu", threads=1, **({"dtype": "float32"} | ways))
    backend.load("epsilon", folders["epsilon"])
    [loaded] = through(backend, tiny.order("job", model="epsilon"), glass).adapters.values()
    own, other = backend.models["epsilon"].vae, loaded.network  # type: ignore[attr-defined]
    assert (own.dtype, own.use_tiling) == (other.dtype, other.use_tiling)
    strides = [one.decoder.conv_in.weight.stride() for one in (own, other)]
    assert strides[0] == strides[1]


def test_sdxls_stay_in_fp32_beside_fp16_unless_their_config_says_otherwise(
    every_folder: dict[str, Path], tmp_path: Path
) -> None:
    model = "sdxl-epsilon"
    backend = Diffusion(device="cpu", dtype="float16", threads=1)
    backend.load(model, every_folder[model])
    vae = vaes.kin(own_vae(every_folder[model]))
    cautious = vaes.write(tmp_path / "cautious.safetensors", dict(vae.state_dict()))
    finite = vaes.write_folder(tmp_path / "finite", vae, force_upcast=False)
    found = {}
    for path in (cautious, finite):
        [loaded] = through(backend, tiny.order(model=model), path).adapters.values()
        found[path.stem] = loaded.network.dtype  # type: ignore[attr-defined]
    assert found == {"cautious": torch.float32, "finite": torch.float16}


def changed(path: Path, vae: Any, **more: torch.Tensor) -> Path:
    return vaes.write(path / "x.safetensors", dict(vae.state_dict()) | more)


def in_folder(**changes: Any) -> Callable[[Path, Any], Path]:
    return lambda path, vae: vaes.write_folder(path / "x", vae, **changes)


def of_a_stranger(path: Path, vae: Any) -> Path:
    return vaes.write(path / "x.safetensors", vaes.as_published(vaes.stranger(vae)))


def infinite(path: Path, vae: Any) -> Path:
    return changed(path, vae, **{"decoder.conv_in.bias": torch.full((16,), torch.inf)})


def without_a_part(path: Path, vae: Any) -> Path:
    weights = {n: t for n, t in vae.state_dict().items() if "decoder.conv_out" not in n}
    return vaes.write(path / "x.safetensors", weights)


def with_more(path: Path, vae: Any) -> Path:
    return changed(path, vae, **{"decoder.more.weight": torch.ones(1)})


REFUSED: dict[str, tuple[Callable[[Path, Any], Path], str]] = {
    "another's latents": (of_a_stranger, "not akin"),
    "another scale": (
        in_folder(scaling_factor=0.13025),
        "Its scaling_factor is 0.13025, this model's 0.18215",
    ),
    "shifted": (in_folder(shift_factor=0.1), "Its shift_factor is 0.1"),
    "a mean": (in_folder(latents_mean=[1.0] * 4), "Its latents_mean"),
    "infinite": (infinite, "decoder.conv_in.bias has values that are not finite"),
    "without a part": (without_a_part, "lack 2 tensors"),
    "a part too many": (with_more, "does not use, for example decoder.more"),
    "quantized": (in_folder(quantization_config={"bits": 4}), "quantization_config"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_by_name(
    both: Diffusion, folders: dict[str, Path], tmp_path: Path, case: str
) -> None:
    write, why = REFUSED[case]
    path = write(tmp_path, vaes.kin(own_vae(folders["epsilon"])))
    found = both.adapters.inspect(path)
    assert (found.kind, found.models) == (AdapterKind.VAE, ())
    assert why in (found.reason or "")
    with pytest.raises(AdapterUnusable, match=re.escape(why)):
        through(both, tiny.order(model="epsilon"), path)


def test_sdxls_and_sd1s_are_told_apart_by_their_weights(
    every_model: Diffusion, every_folder: dict[str, Path], tmp_path: Path
) -> None:
    for model in ("sd1-epsilon", "sdxl-epsilon"):
        vae = vaes.kin(own_vae(every_folder[model]))
        path = vaes.write(tmp_path / f"{model}.safetensors", vaes.as_published(vae))
        found = every_model.adapters.inspect(path)
        families = {oracle.MODELS[one].family.name for one in found.models}
        assert oracle.MODELS[model].family.name in families
        assert ("SDXL" in families) == (model == "sdxl-epsilon")
